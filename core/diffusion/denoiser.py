"""The one contract of everything that can draw."""

from typing import Protocol

from torch import Tensor


class Denoiser(Protocol):
    """Guesses the clean image behind a noisy one."""

    def __call__(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        """The expected clean image [B, C, H, W] of `x` = clean + sigma * unit noise.

        `sigma` [B], on any device, is the noise level; `context` [B, K] says what is drawn, zeros
        for anything.
        """
        ...
