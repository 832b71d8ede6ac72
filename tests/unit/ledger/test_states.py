import re
from pathlib import Path

import pytest

from core.ledger.states import JOB_MOVES, RUNNABLE, SHARD_MOVES, TERMINAL, JobState, ShardState

_DOCUMENT = Path(__file__).parents[3] / "docs" / "states.md"


def _drawn(heading: str) -> set[tuple[str, str]]:
    section = _DOCUMENT.read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    diagram = section.partition("```mermaid")[2].partition("```")[0]
    return set(re.findall(r"^ *(\S+) --> (\S+)$", diagram, re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "moves", "first"),
    [
        ("A job", JOB_MOVES, JobState.PLANNED),
        ("A shard", SHARD_MOVES, ShardState.PENDING),
    ],
)
def test_diagram_shows_exactly_the_legal_moves(
    heading: str, moves: dict[str, frozenset[str]], first: str
) -> None:
    table = {(str(state), str(to)) for state, ends in moves.items() for to in ends}
    table |= {(str(state), "[*]") for state, ends in moves.items() if not ends}
    assert _drawn(heading) == table | {("[*]", str(first))}


def test_every_state_has_its_moves() -> None:
    assert set(JOB_MOVES) == set(JobState)
    assert set(SHARD_MOVES) == set(ShardState)


def test_ended_jobs_take_no_claims() -> None:
    assert {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED} == TERMINAL
    assert not RUNNABLE & TERMINAL
