"""docs/dataset.md is the format: its examples run, its lists are the code's."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from core.dataset import index
from core.dataset.layout import MANIFEST
from core.dataset.manifest import Manifest
from core.dataset.record import Record
from tests.unit.dataset.bench import Bench

PAGE = (Path(__file__).parents[3] / "docs" / "dataset.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def section(name: str) -> str:
    return PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]


def listed(text: str) -> list[str]:
    """The names in the first column of a section's table."""
    rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    return [name for cell in rows for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves it open
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs_inside_a_dataset(
    dataset: Bench, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.chdir(dataset.folder)
    exec(EXAMPLES[number], {})


@pytest.mark.parametrize("number", [2, 3])
def test_checking_example_notices_a_change(
    dataset: Bench, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.chdir(dataset.folder)
    path = Path(MANIFEST)
    changed = {**json.loads(path.read_text()), "dataset_digest": "0" * 64}
    path.write_text(json.dumps(changed))
    with pytest.raises(AssertionError):
        exec(EXAMPLES[number], {})


def test_fields_of_a_record_are_documented_in_order(dataset: Bench) -> None:
    names = listed(section("Samples"))
    record, _ = dataset.records(0)[0]
    assert names == list(json.loads(record.encode()))
    assert len(names) == len(fields(Record))
    assert [*names, "shard"] == index.SCHEMA.names


def test_fields_of_the_manifest_are_documented_in_order() -> None:
    assert listed(section("Manifest")) == list(Manifest.model_fields)


def test_kinds_of_problems_are_documented() -> None:
    code = Path(__file__).parents[3] / "core" / "dataset"
    text = "".join((code / f"{name}.py").read_text("utf-8") for name in ("verify", "shard_check"))
    kinds = set(re.findall(r'(?:_add|found\.add|Problem)\(\s*"(\w+)"', text))
    assert kinds == set(listed(section("Verifying")))
