import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.dataset import card
from core.dataset.layout import CARD
from tests.unit.dataset.bench import SPEC, Bench


@pytest.fixture
def text(dataset: Bench) -> str:
    return str((dataset.folder / CARD).read_text(encoding="utf-8"))


def front(text: str) -> dict[str, Any]:
    values = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(values, dict)
    return values


def test_front_matter_has_licence_tags_and_size(text: str) -> None:
    values = front(text)
    assert values["license"] == "cc0-1.0"
    assert values["size_categories"] == ["n<1K"]
    assert "pixel-art" in values["tags"]


def test_unknown_licence_is_named_as_other(
    bench_of: Callable[[str], Bench], assembled: Bench
) -> None:
    plan = bench_of('{"samples": 3, "contexts": [{"class": "hero"}]}').plan
    plan.spec = SPEC.model_copy(update={"licence": "Crown: all rights"})
    manifest = assembled.manifest().model_copy(update={"samples": 10**6})
    values = front(card.render(plan, manifest))
    assert values["license"] == "other"
    assert values["license_name"] == "Crown: all rights"
    assert values["size_categories"] == ["1M<n<10M"]


def test_card_tells_how_the_sprites_were_made(dataset: Bench, text: str) -> None:
    manifest = dataset.manifest()
    for fact in (
        manifest.dataset_digest, manifest.request_digest, manifest.weights, manifest.created,
        "dpmpp_2m, 12 steps", "| seed | 7 |", "| numerics | device cpu, dtype float32 |",
    ):  # fmt: skip
        assert fact in text


def test_card_counts_the_sprites_of_each_context(text: str) -> None:
    assert "| potion | 40 |" in text
    assert "| hero + 0.6 potion | 30 |" in text
    assert '| "a flaming sword", not "blue" | 30 |' in text


def test_long_list_of_contexts_is_cut(bench_of: Callable[[str], Bench], assembled: Bench) -> None:
    contexts = ", ".join(f'{{"mixture": {{"hero": {n}}}}}' for n in range(1, 90))
    vectors = ", ".join(f'{{"mixture": {{"potion": {n}}}}}' for n in range(1, 90))
    plan = bench_of(f'{{"samples": 1, "contexts": [{contexts}, {vectors}]}}').plan
    assert "and 78 contexts more" in card.render(plan, assembled.manifest())


def test_hostile_text_stays_inside_its_cell(
    bench_of: Callable[[str], Bench], assembled: Bench
) -> None:
    text = "red | <sword> [blue](red) `|` \n# sword"
    request = json.dumps({"samples": 1, "contexts": [{"text": text}]})
    made = card.render(bench_of(request).plan, assembled.manifest())
    [row] = [line for line in made.splitlines() if "sword" in line]
    assert "<" not in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves it open
def test_python_of_the_card_runs_inside_the_dataset(
    dataset: Bench, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(dataset.folder)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)
    assert names["record"]["number"] == 99
    assert names["image"].size == (32, 32)
    assert len(names["index"]) == 100


def test_links_of_the_card_lead_to_files_of_the_dataset(dataset: Bench, text: str) -> None:
    for name in re.findall(r"\]\(([^)]+)\)", text):
        assert Path(dataset.folder / name).exists()
