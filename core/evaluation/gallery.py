"""The pictures of an evaluation: samples, real sprites, and the pairs that are most alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.comparison import names
from core.evaluation.measures import Evaluation
from core.training.examples import Examples

SHOWN = 12
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


def _spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Some of the rows, evenly from first to last."""
    if len(rows) <= SHOWN:
        return rows
    return rows[np.linspace(0, len(rows) - 1, SHOWN).astype(np.int64)]
