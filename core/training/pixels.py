"""Sprites as a network sees them, on any device."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_GREY = (0.299, 0.587, 0.114)
"""Source: ITU-R BT.601, luma."""


def channels(images: NDArray[np.uint8]) -> int:
    """How many channels RGBA [N, H, W, 4] needs: 1 for grey, 3 for colour, 4 with alpha."""
    if not images[..., 3].all() or (images[..., 3] < 255).any():
        return 4
    grey = (images[..., 0] == images[..., 1]) & (images[..., 1] == images[..., 2])
    return 1 if grey.all() else 3


def signal(rgba: Tensor, count: int) -> Tensor:
    """Images [B, `count`, H, W] in [-1, 1] of RGBA bytes [B, H, W, 4].

    Premultiplied with alpha; or, with 3 channels, on black; or, with 1, the grey of that.
    """
    unit = rgba.permute(0, 3, 1, 2).float() / 255
    colour = unit[:, :3] * unit[:, 3:]
    if count == 1:
        red, green, blue = (colour[:, i : i + 1] * weight for i, weight in enumerate(_GREY))
        colour = red + green + blue
    drawn = torch.cat([colour, unit[:, 3:]], dim=1) if count == 4 else colour
    return (drawn * 2 - 1).contiguous(memory_format=torch.channels_last)
