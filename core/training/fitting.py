"""Pictures of any size and mode as RGBA squares of one size, their pixels never blurred."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.sprites import picture

SUFFIXES = frozenset((".png", ".gif", ".webp", ".bmp", ".jpg", ".jpeg"))
_LONGEST = 2**13


def load(path: Path) -> NDArray[np.uint8]:
    """The pixels [H, W, 4] of a picture of any mode: the first frame. Raises UsageError."""
    try:
        return picture.read(path, _LONGEST)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}.") from error


def fit(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The picture [H, W, 4] in a square [size, size, 4].

    A larger one is reduced to `size`, taking every n-th pixel; a smaller one enlarged by the
    largest whole factor that fits. Then it is centred: on clear pixels, or, if all of its own are
    opaque, on the colour of its upper left one.
    """
    longest = max(image.shape[:2])
    if longest > size:
        image = _reduced(image, size)
    elif longest * 2 <= size:
        image = image.repeat(size // longest, axis=0).repeat(size // longest, axis=1)
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    ground = image[0, 0] if image[..., 3].all() else np.zeros(4, dtype=np.uint8)
    square = np.empty((size, size, 4), dtype=np.uint8)
    square[:] = ground
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = image
    return square


def _reduced(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = max(height, width) / size
    ys, xs = (_middles(length, scale) for length in (height, width))
    return image[ys][:, xs]


def _middles(length: int, scale: float) -> NDArray[np.int64]:
    """The pixel in the middle of each of the parts that are `scale` long."""
    count = max(1, round(length / scale))
    return np.minimum(((np.arange(count) + 0.5) * length / count).astype(np.int64), length - 1)
