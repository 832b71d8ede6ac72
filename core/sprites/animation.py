"""Animated pictures of sprites: GIF and WebP files whose colours are the sprites' own."""

from collections.abc import Sequence
from io import BytesIO
from itertools import count
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
    """Sprites [N, h, w, 4] side by side, on nothing, as one picture [H, W, 4]."""
    number, height, width = sprites.shape[:3]
    gap, across = max(1, height // 16), min(columns, number)
    down = -(-number // across)
    tall, wide = height + gap, width + gap
    sheet = np.zeros((down * tall - gap, across * wide - gap, 4), dtype=np.uint8)
    for place, sprite in enumerate(sprites):
        y, x = place // across * tall, place % across * wide
        sheet[y : y + height, x : x + width] = sprite
    return sheet


def animate(frames: Sequence[NDArray[np.uint8]], kind: Kind, scale: int) -> bytes:
    """A file that shows frames [H, W, 4], each pixel as scale x scale, over and over.

    WebP is lossless. In a GIF half-transparent pixels become opaque or clear, and a frame of more
    than 255 colours has the 255 that stand best for them.
    """
    made = _indexed(frames) if kind == "gif" else [Image.fromarray(frame) for frame in frames]
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


def _indexed(frames: Sequence[NDArray[np.uint8]]) -> list[Image.Image]:
    """The frames, each with a palette of its own, whose first colour is what is transparent.

    No pixel of any frame has that colour: opaque ones that had would be taken for background.
    """
    solid = [frame.copy() for frame in frames]
    for frame in solid:
        frame[..., 3] = np.where(frame[..., 3] > 127, 255, 0)
    palettes = [palette.choose(frame, _MOST_COLOURS) for frame in solid]
    used = {int(colour[1:], 16) for colours in palettes for colour in colours}
    clear = next(colour for colour in count() if colour not in used)
    return [_painted(*each, clear) for each in zip(solid, palettes, strict=True)]


def _painted(frame: NDArray[np.uint8], colours: Sequence[str], clear: int) -> Image.Image:
    snapped = palette.snap(frame, colours)
    table = np.array([list(bytes.fromhex(text[1:])) for text in sorted(colours)])
    places = np.searchsorted(_packed(table), _packed(snapped)) + 1
    places[frame[..., 3] == 0] = 0
    image = Image.fromarray(places.astype(np.uint8))
    image.putpalette([*clear.to_bytes(3, "big"), *table.reshape(-1).tolist()])
    return image


def _packed(colours: NDArray[np.integer]) -> NDArray[np.int64]:
    packed: NDArray[np.int64] = colours[..., :3].astype(np.int64) @ np.array([65536, 256, 1])
    return packed
