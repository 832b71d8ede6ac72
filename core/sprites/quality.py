"""Measures of sprites by their pixels alone: how much is drawn, in how many colours, how whole.

All of whole numbers, or shares of them: equal on every machine.
"""

import numpy as np
from numpy.typing import NDArray

BLANK = 0.01
"""A sprite that covers less of its square than this shows nothing."""
CRUMBLED = 0.25
"""A sprite whose largest piece has less than this share of what is visible has fallen apart."""


def cover(rgba: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The share [N] of each sprite's pixels [N, H, W, 4] that can be seen at all."""
    share: NDArray[np.float64] = (rgba[..., 3] > 0).mean(axis=(1, 2))
    return share


def colours(rgba: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The number of colours [N] among each sprite's visible pixels, whatever their alpha."""
    red, green, blue, alpha = np.moveaxis(rgba.astype(np.int32), -1, 0)
    packed = np.where(alpha > 0, red << 16 | green << 8 | blue, -1).reshape(len(rgba), -1)
    packed.sort(axis=1)
    changes = (packed[:, 1:] != packed[:, :-1]).sum(axis=1)
    found: NDArray[np.int64] = changes + (packed[:, 0] >= 0)
    return found


def wholeness(rgba: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The share [N] of each sprite's visible pixels that its largest piece has; blank, 0.

    Pixels hold together by sides and corners. Each takes the least number around it, then what
    that number's own pixel has, until nothing changes: pointer jumping, as in Shiloach and
    Vishkin, "An O(log n) parallel connectivity algorithm", 1982.
    """
    seen = rgba[..., 3] > 0
    nowhere = seen.size
    labels = np.where(seen, np.arange(nowhere).reshape(seen.shape), nowhere)
    while True:
        lowest = np.where(seen, _lowest_around(labels, nowhere), nowhere)
        jumped = np.append(lowest, nowhere)[lowest]
        if np.array_equal(jumped, labels):
            break
        labels = jumped
    sizes = np.bincount(labels[seen], minlength=nowhere).reshape(len(seen), -1)
    share: NDArray[np.float64] = sizes.max(axis=1) / np.maximum(seen.sum(axis=(1, 2)), 1)
    return share


def sound(rgba: NDArray[np.uint8], whole: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each sprite [N] shows something, and is not a square of one colour nor crumbs.

    `whole` is what `wholeness` says of them.
    """
    flat = (rgba == rgba[:, :1, :1]).all(axis=(1, 2, 3)) & (rgba[:, 0, 0, 3] > 0)
    held: NDArray[np.bool_] = (cover(rgba) >= BLANK) & ~flat & (whole >= CRUMBLED)
    return held


def _lowest_around(labels: NDArray[np.int64], nowhere: int) -> NDArray[np.int64]:
    """The least label among each pixel [N, H, W] and its eight neighbours."""
    padded = np.pad(labels, ((0, 0), (1, 1), (1, 1)), constant_values=nowhere)
    rows = np.minimum(np.minimum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    return np.minimum(np.minimum(rows[:, :, :-2], rows[:, :, 1:-1]), rows[:, :, 2:])
