"""The pictures of an evaluation: samples, real sprites, and the pairs that are most alike."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.evaluation.comparison import names
from core.evaluation.measures import Evaluation
from core.sprites.animation import arrange
from core.training.examples import Examples

SHOWN = 12
_IN_LINE, _PAPER = 40, "#faf9f6"
Images = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Row:
    """Of one class, or of all ("" is the name): sprites [n, S, S, 4] each.

    `neighbours` are the training sprites beside the `closest` samples, `distances` apart, relative
    to those of the 50 nearest.
    """

    name: str
    samples: Images
    real: Images
    closest: Images
    neighbours: Images
    distances: tuple[float, ...]


def gallery(
    images: Images, classes: Sequence[str], training: Examples, found: Evaluation
) -> Iterator[Row]:
    """A row for all, then one for each class, evenly from first to last: none picked by hand."""
    asked, real = np.array(classes, dtype=np.str_), names(training)
    for name in ("", *found.of_class):
        mine = np.flatnonzero(asked == name) if name else np.arange(len(images))
        known = np.flatnonzero(real == name) if name else np.arange(len(real))
        order = mine[np.argsort(found.distances[mine], kind="stable")[:SHOWN]]
        yield Row(
            name,
            images[_spread(mine)],
            training.images[_spread(known)],
            images[order],
            training.images[found.nearest[order]],
            tuple(float(distance) for distance in found.distances[order]),
        )


def every_pair(images: Images, training: Examples, found: Evaluation) -> Images:
    """Every sample beside the training sprite that is nearest to it, [H, W, 4]: pairs from left to
    right in lines of `_IN_LINE`, the nearest pair first.
    """
    order = _nearest_first(found)
    pairs = np.concatenate([images[order], training.images[found.nearest[order]]], axis=2)
    picture = Image.fromarray(arrange(pairs, _IN_LINE))
    return np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, _PAPER), picture))


def pair_table(
    classes: Sequence[str], training: Examples, files: Sequence[str], found: Evaluation
) -> str:
    """The pairs as CSV, in the order of `every_pair`; `files` name the training sprites."""
    text, known = io.StringIO(), names(training)
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("sample", "class", "distance", "nearest", "nearest_class"))
    for row in _nearest_first(found):
        near = found.nearest[row]
        distance = f"{found.distances[row]:.4f}"
        lines.writerow((row, classes[row], distance, files[near], known[near]))
    return text.getvalue()


def _nearest_first(found: Evaluation) -> NDArray[np.int64]:
    return np.argsort(found.distances, kind="stable")


def _spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Some of the rows, evenly from first to last."""
    if len(rows) <= SHOWN:
        return rows
    return rows[np.linspace(0, len(rows) - 1, SHOWN).astype(np.int64)]
