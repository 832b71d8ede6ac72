"""Animated pictures of sprites: GIF and WebP files whose colours are the sprites' own."""

from collections.abc import Sequence
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.sprites import palette

Kind = Literal["gif", "webp"]

_MOST_COLOURS = 255  # of a GIF's frame, beside what is transparent
_FRAME = 80  # milliseconds
_LAST = 1600


def arrange(sprites: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Sprites [N, S, S, 4] side by side, on nothing, as one picture [H, W, 4]."""
    count, size = sprites.shape[:2]
    gap, across = max(1, size // 16), min(columns, count)
    down = -(-count // across)
    cell = size + gap
    sheet = np.zeros((down * cell - gap, across * cell - gap, 4), dtype=np.uint8)
    for number, sprite in enumerate(sprites):
        y, x = (place * cell for place in divmod(number, across))
        sheet[y : y + size, x : x + size] = sprite
    return sheet


def animate(frames: Sequence[NDArray[np.uint8]], kind: Kind, scale: int) -> bytes:
    """A file that shows frames [H, W, 4], each pixel as scale x scale, over and over.

    WebP is lossless. In a GIF half-transparent pixels become opaque or clear, and a frame of more
    than 255 colours has the 255 that stand best for them.
    """
    made = [_indexed(frame) if kind == "gif" else Image.fromarray(frame) for frame in frames]
    large = [
        each.resize((each.width * scale, each.height * scale), Image.Resampling.NEAREST)
        for each in made
    ]
    written = BytesIO()
    options = {"transparency": 0, "disposal": 2} if kind == "gif" else {"lossless": True}
    large[0].save(
        written,
        kind.upper(),
        save_all=True,
        append_images=large[1:],
        duration=[_FRAME] * (len(large) - 1) + [_LAST],
        loop=0,
        **options,
    )
    return written.getvalue()


def _indexed(frame: NDArray[np.uint8]) -> Image.Image:
    """The frame with a palette of its own, whose first colour is what is transparent."""
    solid = frame.copy()
    solid[..., 3] = np.where(frame[..., 3] > 127, 255, 0)
    colours = palette.choose(solid, _MOST_COLOURS)
    snapped = palette.snap(solid, colours)
    table = np.array([list(bytes.fromhex(text[1:])) for text in sorted(colours)])
    places = np.searchsorted(_packed(table), _packed(snapped)) + 1
    places[solid[..., 3] == 0] = 0
    image = Image.fromarray(places.astype(np.uint8))
    image.putpalette([0, 0, 0, *table.reshape(-1).tolist()])
    return image


def _packed(colours: NDArray[np.integer]) -> NDArray[np.int64]:
    packed: NDArray[np.int64] = colours[..., :3].astype(np.int64) @ np.array([65536, 256, 1])
    return packed
