"""The random bits of noise: Philox-4x64 with ten rounds (Salmon et al. 2011).

Numpy's generator, a compiled kernel and the arithmetic of a device draw the same. A block is all
that has the same number in the upper half of the counter.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from core.diffusion.kernels.cpu import Philox, Words

_BITS = 53
_HALF, _LOWER = 32, 2**32 - 1
_MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_STEPS = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
_ROUNDS = 10
_MOST_BLOCKS, _MOST_NUMBERS = 16, 2**23
"""How many a device draws at once: both are reached by 128 sprites of 32 x 32 pixels."""


class OnCpu:
    """Drawn by numpy, or by a compiled kernel in its place."""

    def __init__(self, keys: Words, philox: Philox | None) -> None:
        self._bits = partial(philox, keys) if philox else _Streams(keys)

    def __call__(self, block: int, count: int) -> Tensor:
        """Whole numbers [B, `count`] below 2^53, a row for each key."""
        return torch.from_numpy((self._bits(block, count) >> np.uint64(64 - _BITS)).view(np.int64))


class OnDevice:
    """Drawn where it is used, so that the device waits for no CPU to draw and send it.

    Many blocks at once: a whole block takes some 500 launches, and so do many.
    """

    def __init__(self, keys: Words, device: torch.device) -> None:
        self._keys = torch.from_numpy(keys.view(np.int64).copy()).to(device)
        self._blocks, self._drawn = range(0), torch.empty(0)

    def __call__(self, block: int, count: int) -> Tensor:
        """As `OnCpu`; always of the same `count`."""
        if block not in self._blocks:
            room = _MOST_NUMBERS // (len(self._keys) * count)
            ahead = min(max(1, room), _MOST_BLOCKS) if block else 1
            self._blocks = range(block, block + ahead)
            self._drawn = self._draw(self._blocks, count)
        return self._drawn[block - self._blocks.start]

    def _draw(self, blocks: range, count: int) -> Tensor:
        device, groups = self._keys.device, -(-count // 4)
        key0, key1 = self._keys[:, 0, None], self._keys[:, 1, None]
        first = torch.arange(1, groups + 1, device=device).expand(len(blocks), len(key0), groups)
        third = torch.arange(blocks.start, blocks.stop, device=device)[:, None, None]
        c0, c2 = first, third.expand_as(first)
        c1 = c3 = torch.zeros_like(first)
        for _ in range(_ROUNDS):
            (a_high, a), (b_high, b) = map(_product, (c0, c2), _MULTIPLIERS)
            c0, c1, c2, c3 = b_high ^ c1 ^ key0, b, a_high ^ c3 ^ key1, a
            key0, key1 = key0 + _signed(_STEPS[0]), key1 + _signed(_STEPS[1])
        drawn = torch.stack([c0, c1, c2, c3], dim=-1).flatten(2)[..., :count]
        whole: Tensor = (drawn >> (64 - _BITS)) & (2**_BITS - 1)
        return whole


class _Streams:
    """Numpy's, each set to a block: to make one takes as long as to draw a block."""

    def __init__(self, keys: Words) -> None:
        self._streams = [np.random.Philox(key=key) for key in keys]

    def __call__(self, block: int, count: int) -> Words:
        return np.stack([self._drawn(stream, block, count) for stream in self._streams])

    def _drawn(self, stream: np.random.Philox, block: int, count: int) -> Words:
        state = stream.state
        state["state"]["counter"] = np.array([0, 0, block, 0], dtype=np.uint64)
        state["buffer_pos"] = len(state["buffer"])  # nothing is left over of another block
        stream.state = state
        return stream.random_raw(count)


def _product(x: Tensor, by: int) -> tuple[Tensor, Tensor]:
    """The upper and the lower 64 bits of a product of whole numbers without signs, which int64
    holds as if they had one: by halves, as there is no wider type.
    """
    low, high = x & _LOWER, (x >> _HALF) & _LOWER
    by_low, by_high = by & _LOWER, by >> _HALF
    lows, cross, other = low * by_low, low * by_high, high * by_low
    carried = ((lows >> _HALF) & _LOWER) + (cross & _LOWER) + (other & _LOWER)
    uppers = ((cross >> _HALF) & _LOWER) + ((other >> _HALF) & _LOWER) + (carried >> _HALF)
    return high * by_high + uppers, x * _signed(by)


def _signed(number: int) -> int:
    """The number that the same 64 bits are with a sign."""
    return number - 2**64 if number >= 2**63 else number
