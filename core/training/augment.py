"""Sprites varied without blurring a pixel, so that a network learns them less by heart."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import UsageError
from core.training.examples import Examples

RECOLOURED = "recoloured"
"""The word of a sprite whose colours were exchanged: what is not asked for it stays natural."""

_COLOURS = (
    "red green blue yellow cyan magenta purple violet orange pink brown golden gold copper bronze "
    "turquoise crimson scarlet azure emerald ruby sapphire amethyst"
)
COLOURS = frozenset(_COLOURS.split())
"""Words that stop being true when colours are exchanged."""

ORDERS = np.array([(*order, 3) for order in permutations(range(3))])
"""The six orders of red, green and blue, [6, 4] with alpha last; the first is as it is."""


def with_word(examples: Examples) -> Examples:
    """The same sprites, with the word for exchanged colours in their vocabulary.

    Raises UsageError when it is there already.
    """
    if RECOLOURED in examples.vocabulary:
        raise UsageError(
            f"recolour: the captions have the word {RECOLOURED!r} themselves.",
            remedy="Leave --recolour out, or change the captions.",
        )
    return replace(examples, vocabulary=(*examples.vocabulary, RECOLOURED))


def colour_words(vocabulary: Sequence[str]) -> NDArray[np.bool_]:
    """Which words name a colour."""
    return np.array([word in COLOURS for word in vocabulary], dtype=bool)


def room(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """By how much each sprite may move, [N, 4]: 1 up, down, left, right where it is clear there."""
    drawn = images[..., 3] > 0
    edges = drawn[:, 0], drawn[:, -1], drawn[:, :, 0], drawn[:, :, -1]
    return np.stack([~edge.any(axis=1) for edge in edges], axis=1).astype(np.int64)


def mirror(rgba: Tensor, which: Tensor) -> Tensor:
    """RGBA [B, H, W, 4], the ones of `which` [B] turned left to right."""
    return torch.where(which.view(-1, 1, 1, 1), rgba.flip(2), rgba)


def turn(rgba: Tensor, quarters: Tensor) -> Tensor:
    """RGBA [B, H, W, 4], each turned counterclockwise by its quarters [B], 0 to 3."""
    turned = torch.stack([rgba.rot90(count, (1, 2)) for count in range(4)])
    return turned[quarters, torch.arange(len(rgba), device=rgba.device)]


def shift(rgba: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """RGBA [B, H, W, 4] moved by whole pixels [B], those that leave coming back opposite."""
    size = rgba.shape[1]
    place = torch.arange(size, device=rgba.device)
    ys = (place - down[:, None]) % size
    xs = (place - right[:, None]) % size
    batch = torch.arange(len(rgba), device=rgba.device)
    return rgba[batch[:, None, None], ys[:, :, None], xs[:, None, :]]


def recolour(rgba: Tensor, orders: Tensor) -> Tensor:
    """RGBA [B, H, W, 4] with its channels in other orders [B, 4]."""
    return rgba.gather(3, orders[:, None, None, :].expand_as(rgba))
