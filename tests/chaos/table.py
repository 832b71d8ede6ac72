"""The table of what was tried: a row for each fault at each point."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

Tell = Callable[..., None]
"""Told at the end of a test: fault, point, and the seconds `lost` of at most `bound`."""

_HEAD = """\
| fault | point | runs | digest equal | time lost, s | at most |
| --- | --- | --- | --- | --- | --- |"""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run: whether all held that must, the seconds lost to it, and the bound of those."""

    fault: str
    point: str
    held: bool
    lost: float | None = None
    bound: float | None = None


def markdown(trials: Iterable[Trial]) -> str:
    """Trials of one fault at one point in a row, with the most that one lost."""
    same = attrgetter("fault", "point")
    rows = [_row(*key, list(group)) for key, group in groupby(sorted(trials, key=same), same)]
    return "\n".join([_HEAD, *rows]) + "\n"


def _row(fault: str, point: str, trials: list[Trial]) -> str:
    held = sum(trial.held for trial in trials)
    lost = max((trial.lost for trial in trials if trial.lost is not None), default=None)
    bound = next((trial.bound for trial in trials if trial.bound is not None), None)
    cells = (fault, point, len(trials), f"{held} of {len(trials)}", _seconds(lost), _seconds(bound))
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
