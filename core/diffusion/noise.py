"""Noise that belongs to its sample: the same whatever is rendered beside it, and wherever."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.diffusion.kernels.cpu import Philox, Words
from core.weights.spec import ModelSpec

_COLOURS = 3


class SampleNoise:
    """Unit normal noise for samples keyed by 16 bytes each, for every step a draw of its own.

    Counter-based: Philox-4x64 (Salmon et al. 2011) keyed by the sample, the step in the counter's
    upper half. Only numpy's raw bits are used, because those alone are stable between versions; the
    device makes normals of them.
    """

    def __init__(
        self, keys: Sequence[bytes], shape: tuple[int, ...], chroma: float = 1.0,
        device: torch.device | str = "cpu", philox: Philox | None = None,
    ) -> None:  # fmt: skip
        """`shape` is C, H, W; `chroma` is the model's (see `muted`); `philox` draws as numpy's."""
        words = np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2)
        self._bits = partial(philox, words) if philox else _Streams(words)
        self._shape = shape
        self._chroma = chroma
        self._device = device

    @classmethod
    def of(
        cls, spec: ModelSpec, keys: Sequence[bytes], device: torch.device | str = "cpu",
        philox: Philox | None = None,
    ) -> Self:  # fmt: skip
        """The noise that a model is sampled with, for samples of its size."""
        return cls(keys, (spec.channels, spec.size, spec.size), spec.chroma, device, philox)

    def initial(self) -> Tensor:
        """What sampling starts from, [B, *shape] float32."""
        return self._draw(0)

    def step(self, number: int) -> Tensor:
        """What sampling step `number` (from 0) adds, [B, *shape] float32."""
        return self._draw(number + 1)

    def _draw(self, block: int) -> Tensor:
        count = math.prod(self._shape)
        even = count + count % 2
        bits = self._bits(block, even)
        normals = _normals(bits, self._device)[:, :count]
        return muted(normals.reshape(len(bits), *self._shape), self._chroma)


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


def muted(noise: Tensor, chroma: float) -> Tensor:
    """Noise [B, C, H, W] whose red, green and blue are brought to their mean, but for `chroma`.

    Hues vary less than brightness in pictures, so that even noise hides them longest: muted as
    much, both come out of it together. That is even noise on whitened colours; 1 / `chroma` is the
    way there.
    """
    if chroma == 1 or noise.shape[1] < _COLOURS:
        return noise
    colours, rest = noise[:, :_COLOURS], noise[:, _COLOURS:]
    grey = colours.mean(dim=1, keepdim=True)
    return torch.cat([torch.lerp(grey, colours, chroma), rest], dim=1)


def _normals(bits: NDArray[np.uint64], device: torch.device | str) -> Tensor:
    """Normals [B, N] float32 by the Box-Muller transform of 53-bit uniforms in (0, 1]; N even."""
    whole = torch.from_numpy((bits >> np.uint64(11)).view(np.int64))
    uniform = whole.to(device, non_blocking=True).double().add_(1).mul_(2.0**-53)
    first, second = uniform.chunk(2, dim=1)
    radius, angle = first.log().mul_(-2).sqrt_(), second * (2 * math.pi)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1).float()
