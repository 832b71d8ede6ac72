"""Which sprites look most alike: by coarse prints, small enough to compare thousands."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIDE = 8
_BLOCK = 512

Prints = NDArray[np.float32]


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two sprites by their places, `one` before `other`, with how far apart their prints are."""

    distance: float
    one: int
    other: int


def prints(images: NDArray[np.uint8]) -> Prints:
    """Means over 8 x 8 blocks of sprites [N, S, S, 4], as [N, 256]: colours as they cover.

    Whole numbers below 256, as are then all sums of squared differences below 2^24: exact.
    """
    count, size = images.shape[:2]
    edges = np.arange(_SIDE) * size // _SIDE
    drawn = images.astype(np.uint32)
    drawn[..., :3] = (drawn[..., :3] * drawn[..., 3:] + 127) // 255
    sums = np.add.reduceat(np.add.reduceat(drawn, edges, axis=1), edges, axis=2)
    widths = np.diff([*edges, size])
    means = np.rint(sums / (widths[:, None] * widths)[None, :, :, None])
    found: Prints = means.astype(np.float32).reshape(count, -1)
    return found


def closest_pairs(printed: Prints, most: int) -> list[Pair]:
    """The pairs of prints [N, F] that differ least, at most `most`, the nearest first.

    Distances are root mean squares, of 255. Memory does not grow with the number of pairs.
    """
    found: list[Pair] = []
    for start, squared in _distances(printed, printed):
        rows, columns = np.indices(squared.shape)
        squared[columns <= rows + start] = np.inf
        flat = squared.reshape(-1)
        places = np.argpartition(flat, min(most, len(flat) - 1))[:most]
        for place in places[np.isfinite(flat[places])]:
            row, column = divmod(int(place), squared.shape[1])
            found.append(Pair(_root(flat[place], printed), start + row, column))
        found = sorted(found)[:most]
    return found


def nearest(printed: Prints, known: Prints) -> list[Pair]:
    """For each print [N, F] the nearest of `known` [M, F] or of their mirror images."""
    mirrored = known.reshape(-1, _SIDE, _SIDE, 4)[:, :, ::-1].reshape(len(known), -1)
    found = []
    for (start, straight), (_, turned) in zip(
        _distances(printed, known), _distances(printed, mirrored), strict=True
    ):
        squared = np.minimum(straight, turned)
        for row, place in enumerate(squared.argmin(axis=1)):
            distance = _root(squared[row, place], printed)
            found.append(Pair(distance, start + row, int(place)))
    return found


def _distances(one: Prints, other: Prints) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Squared distances between a block of rows of `one`, from a row on, and all of `other`."""
    squares = (other.astype(np.float64) ** 2).sum(axis=1)
    for start in range(0, len(one), _BLOCK):
        block = one[start : start + _BLOCK]
        products = (block @ other.T).astype(np.float64)
        yield start, (block.astype(np.float64) ** 2).sum(axis=1)[:, None] + squares - 2 * products


def _root(squared: float, printed: Prints) -> float:
    return round(float(np.sqrt(max(0.0, float(squared)) / printed.shape[1])), 2)
