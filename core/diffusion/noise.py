"""Noise that belongs to its sample: the same whatever is rendered beside it, and wherever."""

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from core.diffusion.kernels.cpu import Philox
from core.diffusion.philox import OnCpu, OnDevice
from core.weights.spec import ModelSpec

_COLOURS = 3


class SampleNoise:
    """Unit normal noise for samples keyed by 16 bytes each, for every step a draw of its own.

    Counter-based: Philox keyed by the sample, the step in the counter's upper half. The device
    makes normals of its bits: numpy's normals are not stable between versions.
    """

    def __init__(
        self, keys: Sequence[bytes], shape: tuple[int, ...], chroma: float = 1.0,
        device: torch.device | str = "cpu", philox: Philox | None = None,
    ) -> None:  # fmt: skip
        """`shape` is C, H, W; `chroma` is the model's (see `muted`); `philox` draws as numpy's."""
        words = np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2)
        place = torch.device(device)
        self._bits = OnCpu(words, philox) if place.type == "cpu" else OnDevice(words, place)
        self._shape = shape
        self._chroma = chroma

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
        normals = _normals(self._bits(block, even))[:, :count]
        return muted(normals.reshape(-1, *self._shape), self._chroma)


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


def _normals(whole: Tensor) -> Tensor:
    """Normals [B, N] float32 by the Box-Muller transform of whole numbers below 2^53, N even, as
    uniforms in (0, 1].
    """
    uniform = whole.double().add_(1).mul_(2.0**-53)
    first, second = uniform.chunk(2, dim=1)
    radius, angle = first.log().mul_(-2).sqrt_(), second * (2 * math.pi)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1).float()
