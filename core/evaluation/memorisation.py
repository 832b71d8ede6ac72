"""Copies: samples too near to a training sprite, and samples too near to each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.evaluation.neighbours import prints

QUANTILE = 0.01
LEAST_HELD_OUT = 100
"""Classes with fewer held-out sprites share one threshold."""
SAME = 4.0
"""Sprites that differ by less, of 255, are near-duplicates: the same as when data is split."""
_BLOCK = 1024


def thresholds(
    distances: NDArray[np.float32], classes: NDArray[np.str_], wanted: Sequence[str]
) -> dict[str, float]:
    """By class, the distance to a training sprite that 99% of held-out sprites exceed.

    `distances` and `classes` [N] are those of held-out sprites, N at least 1. Classes without
    enough of their own take what they have together.
    """
    many = {
        name
        for name, count in zip(*np.unique(classes, return_counts=True), strict=True)
        if count >= LEAST_HELD_OUT
    }
    few = ~np.isin(classes, sorted(many))
    shared = distances[few] if few.any() else distances
    return {
        name: float(np.quantile(distances[classes == name] if name in many else shared, QUANTILE))
        for name in wanted
    }


def near_duplicates(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of images [N, S, S, 4] have another like them, mirrored or not."""
    flat = prints(images, images.shape[1]).astype(np.float32)
    straight, turned = (view.reshape(len(images), -1) for view in (flat, flat[:, :, ::-1]))
    squares = (straight.astype(np.float64) ** 2).sum(axis=1)
    found = np.zeros(len(images), dtype=bool)
    for start in range(0, len(images), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(images)))
        for view in (straight, turned):
            gaps = squares[rows, None] + squares - 2 * (straight[rows] @ view.T)
            gaps[rows - start, rows] = np.inf  # a symmetric sprite is its own mirror image
            found[rows] |= (gaps < SAME**2 * straight.shape[1]).any(axis=1)
    return found
