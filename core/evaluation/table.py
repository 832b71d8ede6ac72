"""The tables of an evaluation's page."""

from collections.abc import Callable, Sequence
from html import escape

from core.evaluation.measures import Measures
from core.evaluation.report import Report, Trial

Column = tuple[str, Callable[[Measures], str]]

LIKENESS: Sequence[Column] = (
    ("samples", lambda of: f"{of.samples.sprites:,}" if of.samples else "0"),
    ("training sprites", lambda of: f"{of.training.sprites:,}" if of.training else "0"),
    ("agreement", lambda of: share(of.samples.agreement if of.samples else None)),
    ("agreement, unseen real", lambda of: share(of.unseen.agreement if of.unseen else None)),
    ("unseen real", lambda of: f"{of.unseen.sprites:,}" if of.unseen else "0"),
    ("ratio of agreements", lambda of: number(of.agreement_ratio)),
    ("kernel distance to training", lambda of: number(_kernel(of))),
    ("density", lambda of: number(of.to_training.manifold.density if of.to_training else None)),
    ("coverage", lambda of: share(of.to_training.manifold.coverage if of.to_training else None)),
    ("diversity", lambda of: number(of.samples.diversity if of.samples else None)),
    ("diversity, training", lambda of: number(of.training.diversity if of.training else None)),
)
"""Agreement with what was asked, likeness to training sprites, variety."""

PIXELS: Sequence[Column] = (
    ("memorised", lambda of: share(of.copies.memorised)),
    ("as near, held out", lambda of: share(of.copies.held_out_memorised)),
    ("median distance", lambda of: number(of.copies.median_distance)),
    ("near-duplicates", lambda of: share(of.copies.near_duplicates)),
    ("sound", lambda of: share(of.samples.sound if of.samples else None)),
    ("binary alpha", lambda of: share(of.samples.binary_alpha if of.samples else None)),
    ("colours", lambda of: f"{of.samples.colours:.0f}" if of.samples else "-"),
    ("colours, training", lambda of: f"{of.training.colours:.0f}" if of.training else "-"),
)
"""Copies, and what the pixels are."""


def classes(report: Report, columns: Sequence[Column]) -> str:
    """A line for all, and one for each class."""
    lines = [("all", report.overall), *report.of_class.items()]
    body = [
        _line([escape(name), *(show(of) for _, show in columns)], whole=name == "all")
        for name, of in lines
    ]
    return _table(["class", *(head for head, _ in columns)], body)


def trials(report: Report) -> str:
    """A line for each sampler and number of steps; nothing where none were asked for."""
    if not report.trials:
        return ""
    heads = ["sampler", "steps", "agreement", "ratio", "kernel distance to held-out", "95%",
             "Frechet distance", "density", "coverage", "memorised", "near-duplicates"]  # fmt: skip
    return _table(heads, [_line(_trial(trial)) for trial in report.trials])


def _trial(trial: Trial) -> list[str]:
    of = trial.measures
    held = of.to_held_out
    return [
        escape(trial.sampler),
        f"{trial.steps:,}",
        share(of.samples.agreement if of.samples else None),
        number(of.agreement_ratio),
        number(held.kernel.value if held else None),
        f"{number(held.kernel.low)} to {number(held.kernel.high)}" if held else "",
        number(held.frechet if held else None),
        number(held.manifold.density if held else None),
        share(held.manifold.coverage if held else None),
        share(of.copies.memorised),
        share(of.copies.near_duplicates),
    ]


def number(value: float | None) -> str:
    """Three figures, or a dash for what could not be told."""
    return "-" if value is None else f"{value:.3g}"


def share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _kernel(of: Measures) -> float | None:
    return of.to_training.kernel.value if of.to_training else None


def _line(cells: Sequence[str], *, whole: bool = False) -> str:
    inner = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr class="all">{inner}</tr>' if whole else f"<tr>{inner}</tr>"


def _table(heads: Sequence[str], lines: Sequence[str]) -> str:
    top = "".join(f"<th>{head}</th>" for head in heads)
    return f'<div class="wide"><table><tr>{top}</tr>{"".join(lines)}</table></div>'
