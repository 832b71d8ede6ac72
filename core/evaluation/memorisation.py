"""Copies: samples too near to a training sprite, and samples too near to each other."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from core.sprites.duplicates import find_near_duplicates

QUANTILE = 0.01
LEAST_HELD_OUT = 100
"""Classes with fewer held-out sprites share one threshold."""


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
    found = np.zeros(len(images), dtype=bool)
    for group in find_near_duplicates(chain(images, images[:, :, ::-1])):
        places = {place % len(images) for place in group}
        if len(places) > 1:  # a symmetric sprite is its own mirror image
            found[sorted(places)] = True
    return found
