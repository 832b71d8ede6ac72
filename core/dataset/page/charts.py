"""Small pieces of HTML: figures, bars, histograms, sprites. All text is escaped here."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _BASE = 320, 110, 92
_BINS = 24


def figure(value: str, name: str, *, warn: bool = False) -> str:
    """One number that matters."""
    kind = "figure warn" if warn else "figure"
    return f'<div class="{kind}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'


def bars(counts: Sequence[tuple[str, float]]) -> str:
    """A bar for each name, as long as its count."""
    most = max((count for _, count in counts), default=1) or 1
    return "".join(
        f'<div class="bar"><span class="label" title="{escape(name)}">{escape(name)}</span>'
        f'<span class="track"><i style="width:{100 * count / most:.1f}%"></i></span>'
        f'<span class="n">{count:,.0f}</span></div>'
        for name, count in counts
    )


def histogram(title: str, values: NDArray[np.float64]) -> str:
    """How values spread, with least, middle and most beneath."""
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, bins=_BINS, range=(low, high if high > low else low + 1))
    step, most = _WIDTH / _BINS, counts.max()
    drawn = "".join(
        f'<rect x="{place * step + 1:.1f}" y="{_BASE - _BASE * count / most:.1f}" '
        f'width="{step - 2:.1f}" height="{_BASE * count / most:.1f}" rx="1"/>'
        for place, count in enumerate(counts)
        if count
    )
    ends = (("start", 0, low), ("end", _WIDTH, high))
    labels = "".join(
        f'<text x="{x}" y="{_HEIGHT - 4}" text-anchor="{anchor}">{number(value)}</text>'
        for anchor, x, value in ends
    )
    middle = number(float(np.median(values)))
    return (
        f'<div class="card"><h3>{escape(title)}</h3>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}: {number(low)} to {number(high)}, median {middle}">{drawn}'
        f'<line x1="0" x2="{_WIDTH}" y1="{_BASE + 0.5}" y2="{_BASE + 0.5}"/>{labels}'
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 4}" text-anchor="middle">median {middle}</text>'
        "</svg></div>"
    )


def sprite(png: bytes, title: str) -> str:
    data = base64.b64encode(png).decode()
    name = escape(title)
    return f'<img class="s" src="data:image/png;base64,{data}" title="{name}" alt="{name}">'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the columns whose name begins with # hold numbers."""
    kinds = [' class="n"' if name.startswith("#") else "" for name in head]
    names = "".join(
        f"<th{kind}>{escape(name.lstrip('#'))}</th>" for kind, name in zip(kinds, head, strict=True)
    )
    lines = "".join(
        "<tr>"
        + "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in (tuple(map(escape, row)) for row in rows)
    )
    return f"<table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table>"


def facts(pairs: Mapping[str, str]) -> str:
    """Names and what they are; empty ones are left out."""
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td><code>{escape(value)}</code></td></tr>"
        for name, value in pairs.items()
        if value
    )
    return f'<table class="facts"><tbody>{lines}</tbody></table>'


def number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}"
