"""The sections of the page that show sprites."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from itertools import islice
from pathlib import PurePosixPath

import numpy as np

from core.dataset.page import charts
from core.dataset.page.facts import Facts, Picture, lowest
from core.dataset.page.real import Real
from core.sprites import likeness, quality

_SHOWN = 8
_PAIRS = 12
_COLOURS = 48

Section = tuple[str, str, str]
"""A section's title, its note, and its HTML."""


def sheets(facts: Facts, pictures: Sequence[Picture]) -> Section:
    """A row of sprites for each context."""
    rows: dict[str, list[Picture]] = {}
    for picture in pictures:
        rows.setdefault(picture.context, []).append(picture)
    shown = "".join(
        f'<div class="row"><div class="name">{escape(label)}'
        f"<small>{facts.contexts[label]:,} sprites</small></div>"
        f'<div class="strip">{"".join(charts.sprite(p.png, p.key) for p in row[:_SHOWN])}'
        "</div></div>"
        for label, row in rows.items()
    )
    every = len(rows) >= facts.manifest.contexts
    note = "" if every else f"The first {len(rows):,} of {facts.manifest.contexts:,} contexts."
    return "Sprites", note, shown


def colour_use(pictures: Sequence[Picture]) -> Section:
    """The colours of the shown sprites, and how many and how much of the square each has."""
    images = np.stack([picture.rgba for picture in pictures])
    seen = images[images[..., 3] > 0][:, :3]
    if not len(seen):
        return "Colours", "", ""
    coarse = seen // 32 * 32 + 16
    common = Counter(map(tuple, coarse.tolist())).most_common(_COLOURS)
    ordered = sorted(common, key=lambda item: (_hue(item[0]), sum(item[0])))
    strip = "".join(
        f'<i style="flex:{count};background:rgb{colour}" title="rgb{colour}"></i>'
        for colour, count in ordered
    )
    spread = "".join(
        [
            charts.histogram("Colours in a sprite", quality.colours(images).astype(np.float64)),
            charts.histogram("Share of the square that is visible", quality.cover(images)),
        ]
    )
    note = (
        f"Of {len(pictures):,} sprites. Beneath: their {len(ordered)} most common shades, by hue."
    )
    return "Colours", note, f'<div class="palette">{strip}</div><div class="cards">{spread}</div>'


def alike(facts: Facts, pictures: Sequence[Picture]) -> Section:
    """Equal sprites of the whole dataset, and the most alike of those that were compared."""
    printed = likeness.prints(np.stack([picture.rgba for picture in pictures]))
    pairs = likeness.closest_pairs(printed, _PAIRS)
    cards = "".join(
        _pair(
            [pictures[pair.one], pictures[pair.other]],
            f"{charts.number(pair.distance)} of 255 apart",
        )
        for pair in pairs
    )
    among = "all" if len(pictures) == facts.manifest.samples else f"{len(pictures):,} sprites of it"
    note = f"{_equal(facts)}Below, the pairs of {among} that look most alike, by their 8 x 8 means."
    groups = [("equal", keys) for keys in facts.twins]
    groups += [("alike", keys) for keys in facts.alike_groups]
    listed = charts.table(["", "sprites"], [[kind, _named(keys)] for kind, keys in groups])
    return (
        "Near-duplicates",
        note,
        f'<div class="pairs">{cards}</div>' + (f"<p></p>{listed}" if groups else ""),
    )


def _equal(facts: Facts) -> str:
    """What was found in the whole dataset."""
    told = "Equal sprites were not sought in so large a dataset. "
    if facts.repeats is not None:
        told = "No two sprites of the dataset are equal, pixel for pixel. "
    if facts.repeats:
        told = f"{facts.repeats:,} sprites are equal, pixel for pixel, to one before them. "
    rules = facts.plan.request.quality
    if facts.alike is None and rules is not None and rules.apart is not None:
        told += (
            "Near-duplicates across shards are sought when a job of at most 100,000 sprites is "
            "finished: the page that was written then tells. "
        )
    if facts.alike is not None and rules is not None:
        found = f"{facts.alike:,} sprites look" if facts.alike else "no sprite looks"
        told += (
            f"Across all shards {found} like one before: 8 x 8 means nearer than the "
            f"{rules.apart:g} that the rule <code>apart</code> asks for within a shard. "
        )
    return told


def _named(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - 6:,} more" if len(keys) > 6 else ""
    return ", ".join(keys[:6]) + more


def closest(facts: Facts, pictures: Sequence[Picture], real: Real | None) -> Section:
    """The sprites that are nearest to training data, beside those where these are given."""
    if real is not None:
        return _beside(pictures, real)
    ranked = lowest(facts.scored, "novelty", _PAIRS)
    shown = {picture.key: picture for picture in pictures}
    cards = "".join(
        _pair([shown[key]] if key in shown else [], f"{charts.number(value)} of 255: {key}")
        for key, value in ranked
    )
    note = (
        "The sprites whose distance to the nearest training sprite is least, as the rule "
        "<code>novelty</code> measured it. With the training folder at hand, "
        "<code>spritemill report --real DIR</code> shows these beside."
    )
    return "Closest to training data", note if ranked else "", f'<div class="pairs">{cards}</div>'


def _beside(pictures: Sequence[Picture], real: Real) -> Section:
    printed = likeness.prints(np.stack([picture.rgba for picture in pictures]))
    first: dict[int, likeness.Pair] = {}
    for pair in sorted(likeness.nearest(printed, real.prints)):
        first.setdefault(pair.other, pair)
    cards = "".join(
        _pair(
            [pictures[pair.one], real.picture(pair.other)],
            f"{charts.number(pair.distance)} of 255 from {PurePosixPath(real.names[place]).name}",
        )
        for place, pair in islice(first.items(), _PAIRS)
    )
    note = (
        f"Of {len(pictures):,} sprites of the dataset and {len(real.names):,} real ones and their "
        "mirror images, those that are nearest by their 8 x 8 means, each real one once: left "
        "ours, right the real one."
    )
    return "Closest to training data", note, f'<div class="pairs">{cards}</div>'


def _pair(pictures: Sequence[Picture], told: str) -> str:
    images = "".join(charts.sprite(each.png, each.key) for each in pictures)
    return f'<div class="card"><div class="strip">{images}</div><small>{escape(told)}</small></div>'


def _hue(colour: tuple[int, int, int]) -> float:
    """From 0 to 6 round the wheel; greys come first."""
    red, green, blue = colour
    high, spread = max(colour), max(colour) - min(colour)
    if not spread:
        return -1.0
    if high == red:
        return ((green - blue) / spread) % 6
    if high == green:
        return (blue - red) / spread + 2
    return (red - green) / spread + 4
