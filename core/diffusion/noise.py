"""Noise that belongs to its sample: the same whatever is rendered beside it, and wherever."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class SampleNoise:
    """Unit normal noise for samples keyed by 16 bytes each, for every step a draw of its own.

    Counter-based: Philox-4x64 (Salmon et al. 2011) keyed by the sample, the step in the counter's
    upper half. Only numpy's raw bits are used, because those alone are stable between versions.
    """

    def __init__(self, keys: Sequence[bytes], shape: tuple[int, ...]) -> None:
        self._keys = [int.from_bytes(key, "little") for key in keys]
        self._shape = shape

    def initial(self) -> Tensor:
        """What sampling starts from, [B, *shape] float32 of unit variance."""
        return self._draw(0)

    def step(self, number: int) -> Tensor:
        """What sampling step `number` (from 0) adds, [B, *shape] float32."""
        return self._draw(number + 1)

    def _draw(self, block: int) -> Tensor:
        count = math.prod(self._shape)
        pairs = -(-count // 2)
        normals = np.stack([_normals(key, block, pairs)[:count] for key in self._keys])
        return torch.from_numpy(normals).reshape(len(self._keys), *self._shape)


def _normals(key: int, block: int, pairs: int) -> NDArray[np.float32]:
    """`2 * pairs` normals by the Box-Muller transform of 53-bit uniforms in (0, 1]."""
    raw = np.random.Philox(key=key, counter=block << 128).random_raw(2 * pairs)
    uniform = ((raw >> np.uint64(11)) + np.uint64(1)) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(uniform[:pairs]))
    angle = 2.0 * np.pi * uniform[pairs:]
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return both.astype(np.float32)
