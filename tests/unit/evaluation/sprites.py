"""Sprites of 32 x 32 pixels to evaluate: blocks of colour on a clear ground."""

import numpy as np
from numpy.typing import NDArray

from core.training.examples import Examples

Images = NDArray[np.uint8]


def blocks(count: int, seed: int = 0) -> Images:
    """Sprites that have nothing to do with each other: 8 x 8 blocks, some of them clear."""
    drawn = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 4), dtype=np.uint8)
    drawn[..., 3] = np.where(drawn[..., 3] < 128, 0, 255)
    drawn[drawn[..., 3] == 0] = 0
    return drawn.repeat(4, axis=1).repeat(4, axis=2)


def examples(images: Images, labels: list[int], classes: tuple[str, ...]) -> Examples:
    none = np.zeros(len(images), dtype=bool)
    return Examples(images, np.array(labels), ((),) * len(images), none, classes, ())
