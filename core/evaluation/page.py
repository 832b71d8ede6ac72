"""An evaluation as one HTML page that needs nothing beside itself."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from core.dataset import png
from core.evaluation import table
from core.evaluation.distances import Interval
from core.evaluation.gallery import Images, Row
from core.evaluation.measures import Measures
from core.evaluation.report import Report
from core.evaluation.table import number, share

_STYLE = Path(__file__).with_name("page.css")
_SCALE, _GAP = 2, 2


def page(report: Report, rows: Iterable[Row]) -> str:
    """The page's text. `rows` are its pictures, first those of all classes."""
    overall, *of_class = rows
    title = f"Evaluation of {escape(report.subject.name)}"
    parts = [
        f"<h1>{title}</h1>",
        _about(report),
        _cards(report.overall),
        "<h2>Likeness by class</h2>",
        table.classes(report, table.LIKENESS),
        "<h2>Copies and pixels by class</h2>",
        table.classes(report, table.PIXELS),
        "<h2>Quality against steps</h2>" if report.trials else "",
        table.trials(report),
        "<h2>The samples nearest to training sprites</h2>",
        "<p>Of all samples those that are nearest to a sprite the model learnt from: the sample, "
        "that sprite, and how far apart they are, as a share of the mean distance to the 50 "
        "nearest training sprites: 0 is a copy.</p>",
        _pairs(overall),
        "<h2>Sprites</h2><p>Evenly from the first to the last: none picked by hand.</p>",
        *(_class(row) for row in of_class or [overall]),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head><body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )


def _about(report: Report) -> str:
    of, beside = report.subject, report.beside
    return (
        f"<p>{of.samples:,} samples of the {escape(of.kind)}, {escape(of.sampling)}, beside "
        f"{escape(beside.folder)}: {beside.training:,} sprites to learn from, "
        f"{beside.held_out:,} held out.</p>"
        f"<p>Weights <code>{escape(of.weights[:16])}</code>. The encoder never saw the "
        f"{beside.unseen:,} real sprites by which its own agreement is told.</p>"
    )


def _cards(of: Measures) -> str:
    held = of.to_held_out
    real = of.training_to_held_out
    cards = [
        ("Seen as what was asked", share(of.samples.agreement if of.samples else None),
         f"real sprites: {share(of.unseen.agreement if of.unseen else None)}; at the same mix of "
         f"classes {number(of.agreement_ratio)} of theirs"),
        ("Kernel distance to held-out", number(held.kernel.value if held else None),
         f"{_interval(held.kernel if held else None)}; training sprites: "
         f"{number(real.kernel.value if real else None)}, "
         f"{_interval(real.kernel if real else None)}"),
        ("Frechet distance to held-out", number(held.frechet if held else None),
         f"training sprites: {number(real.frechet if real else None)}, "
         f"{held.sprites if held else 0:,} of each"),
        ("Coverage of held-out", share(held.manifold.coverage if held else None),
         f"density {number(held.manifold.density if held else None)}; training sprites: "
         f"{share(real.manifold.coverage if real else None)}, "
         f"{number(real.manifold.density if real else None)}"),
        ("Memorised", share(of.copies.memorised),
         f"held-out sprites: {share(of.copies.held_out_memorised)}"),
        ("Near-duplicates", share(of.copies.near_duplicates), "have another sample like them"),
    ]  # fmt: skip
    inner = "".join(
        f'<div class="card">{title}<b>{value}</b><small>{note}</small></div>'
        for title, value, note in cards
    )
    return f'<div class="cards">{inner}</div>'


def _interval(of: Interval | None) -> str:
    return f"{number(of.low)} to {number(of.high)}" if of else number(None)


def _class(row: Row) -> str:
    return (
        f"<h3>{escape(row.name or 'All')}</h3>"
        f'<div class="strip"><span class="note">samples</span>{_image(row.samples)}'
        f'<span class="note">real</span>{_image(row.real)}</div>'
        f'<span class="note">nearest to training sprites</span>{_pairs(row)}'
    )


def _pairs(row: Row) -> str:
    pairs = zip(row.closest, row.neighbours, row.distances, strict=True)
    figures = "".join(
        f"<figure>{_image((sample, neighbour))}<figcaption>{distance:.2f}</figcaption></figure>"
        for sample, neighbour, distance in pairs
    )
    return f'<div class="pairs">{figures}</div>'


def _image(sprites: Images | Sequence[Images]) -> str:
    """Sprites side by side as a picture within the page."""
    if not len(sprites):
        return "<p>none</p>"
    gap = np.zeros((sprites[0].shape[0], _GAP, 4), dtype=np.uint8)
    cells = [part for sprite in sprites for part in (sprite, gap)][:-1]
    strip = np.concatenate(cells, axis=1)
    height, width = strip.shape[:2]
    data = b64encode(png.encode(strip)).decode()
    return (
        f'<img alt="" width="{width * _SCALE}" height="{height * _SCALE}" '
        f'src="data:image/png;base64,{data}">'
    )
