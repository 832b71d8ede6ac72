"""The requests that we hand out can be made with the bundled model."""

from pathlib import Path

import pytest

from core import weights
from core.request.load import load
from core.request.plan import Plan, plan
from orchestrator.cli.asked import text_of

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
FIRST = ROOT / "orchestrator/cli/first_request.yaml"


def planned(path: Path) -> Plan:
    return plan(load(path), weights.read_spec(weights.bundled()))


@pytest.mark.parametrize("path", [*EXAMPLES, FIRST], ids=lambda path: path.stem)
def test_request_that_we_hand_out_is_good(path: Path) -> None:
    assert planned(path).total > 0


def test_first_request_is_good_with_every_choice_taken(tmp_path: Path) -> None:
    lines = FIRST.read_text(encoding="utf-8").splitlines()
    opened = [
        line.replace("# ", "", 1) if line.lstrip().startswith("# ") and number > 5 else line
        for number, line in enumerate(lines)
    ]
    whole = tmp_path / "whole.yaml"
    whole.write_text("\n".join(opened), encoding="utf-8")
    made = planned(whole)
    assert made.context_count > planned(FIRST).context_count
    assert made.request.pixels.palette


def test_quickstart_asks_for_1200_sprites_of_every_class() -> None:
    made = planned(ROOT / "examples" / "quickstart.yaml")
    assert made.total == 1200
    assert {context.class_name for context, _ in made.contexts()} >= set(made.spec.classes)


def test_flags_ask_for_the_same_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text(text_of(None, ["potion"], ["blue robe"], 3, None), encoding="utf-8")
    assert [(context.label, count) for context, count in planned(file).contexts()] == [
        ("potion", 3),
        ('"blue robe"', 3),
    ]
