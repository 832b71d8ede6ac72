"""Sprites with other pixels: snapped to a palette, made larger by a whole factor."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.dataset import png
from core.dataset.record import pixels_sha256
from core.sprites import palette

_ASKED = 4096


def choose(images: Iterator[NDArray[np.uint8]], total: int, count: int) -> tuple[str, ...]:
    """A palette of `count` colours for `total` sprites, from evenly spaced ones among them."""
    step = max(1, -(-total // _ASKED))
    some = [image.copy() for place, image in enumerate(images) if place % step == 0]
    return palette.choose(np.stack(some), count)


def repaint(
    picture: bytes, size: int, colours: Sequence[str] | None, scale: int
) -> tuple[bytes, str]:
    """A sprite's PNG file as it leaves, and the hash of its pixels. Raises CorruptError."""
    pixels = png.decode(picture, size)
    if colours:
        pixels = palette.snap(pixels, colours)
    large = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    return png.encode(large), pixels_sha256(large)
