"""Transparency: what a denoiser draws (premultiplied, in [-1, 1]) and what a PNG holds."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Alpha = Literal["binary", "soft", "opaque"]


def to_rgba(drawn: NDArray[np.float32], alpha: Alpha) -> NDArray[np.uint8]:
    """RGBA [B, H, W, 4] of premultiplied images [B, 4, H, W], or opaque RGB or grey (3 or 1).

    `binary` makes every pixel opaque or clear, `soft` keeps the alpha, `opaque` puts the sprite on
    black. Clear pixels are always black, so that equal pictures are equal bytes.
    """
    unit = np.clip((drawn.astype(np.float64) + 1) / 2, 0, 1).transpose(0, 2, 3, 1)
    colour = unit[..., :3] if unit.shape[-1] > 1 else unit.repeat(3, axis=-1)
    cover = unit[..., 3:] if unit.shape[-1] == 4 else np.ones_like(unit[..., :1])
    if alpha == "opaque":
        return _bytes(np.concatenate([colour, np.ones_like(cover)], axis=-1))
    straight = np.minimum(colour / np.maximum(cover, 1 / 255), 1)
    shown = cover if alpha == "soft" else (cover > 0.5).astype(np.float64)
    rgba = _bytes(np.concatenate([straight, shown], axis=-1))
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def from_rgba(rgba: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Premultiplied images [B, 4, H, W] in [-1, 1] of RGBA [B, H, W, 4]: what is trained on."""
    unit = rgba.transpose(0, 3, 1, 2) / 255
    unit[:, :3] *= unit[:, 3:]
    return (unit * 2 - 1).astype(np.float32)


def _bytes(unit: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(unit * 255).astype(np.uint8)
