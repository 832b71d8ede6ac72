"""Sprites that are kept only while they differ enough from all that were kept before them."""

import numpy as np
from numpy.typing import NDArray

_BLOCKS = 8


class Crowd:
    """Takes sprites [S, S, 4] one by one, at most `room` of them.

    The difference of two is the root mean square over pixels and channels, of 255, of what is
    drawn: a colour weighs as much as it covers. Sums of whole numbers, exact on every machine.
    """

    def __init__(self, apart: float, size: int, room: int) -> None:
        self._limit = apart**2 * size * size * 4  # of summed squares
        self._block = -(-size // _BLOCKS)
        self._sums = np.empty((room, _BLOCKS * _BLOCKS * 4))
        self._squares = np.empty(room)
        self._drawn = np.empty((room, size * size * 4), dtype=np.uint8)
        self._count = 0

    def take(self, sprite: NDArray[np.uint8]) -> bool:
        """Keep the sprite, unless one that was kept differs from it by less than `apart`."""
        pixels = drawn(sprite)
        sums = self._summed(pixels)
        for other in self._near(sums):
            gap = pixels.reshape(-1).astype(np.int64) - self._drawn[other]
            if int(gap @ gap) < self._limit:
                return False
        self._sums[self._count] = sums
        self._squares[self._count] = sums @ sums
        self._drawn[self._count] = pixels.reshape(-1)
        self._count += 1
        return True

    def _near(self, sums: NDArray[np.float64]) -> NDArray[np.intp]:
        """Those that may be too near, by sums over blocks of pixels.

        By Cauchy and Schwarz the squared difference of two sums of n values is at most n times the
        sum of the values' squared differences: who is further apart by sums is so by pixels.
        """
        before, bound = slice(self._count), self._limit * self._block**2
        gaps = self._squares[before] + sums @ sums - 2 * (self._sums[before] @ sums)
        near: NDArray[np.intp] = np.flatnonzero(gaps < bound)
        return near

    def _summed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Sums over 8 x 8 blocks, the last ones filled up with nothing."""
        side = _BLOCKS * self._block
        padded = np.zeros((side, side, 4))
        padded[: pixels.shape[0], : pixels.shape[1]] = pixels
        blocks = padded.reshape(_BLOCKS, self._block, _BLOCKS, self._block, 4)
        sums: NDArray[np.float64] = blocks.sum(axis=(1, 3)).reshape(-1)
        return sums


def drawn(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels [..., 4] with colours as strong as they cover."""
    pixels = rgba.astype(np.uint16)
    pixels[..., :3] = (pixels[..., :3] * pixels[..., 3:] + 127) // 255
    return pixels.astype(np.uint8)
