"""Classifier-free guidance: towards what is asked, away from what is not."""

import torch
from torch import Tensor

from core.diffusion.denoiser import Denoiser


class Guided:
    """A denoiser that steers another.

    Source: Ho & Salimans 2022 (arXiv:2207.12598), with the negative in the unconditional's place;
    the interval of sigmas (low, high) from Kynkaanniemi et al. 2024 (arXiv:2404.07724). A tensor
    holds a scale for each sprite [B, 1, 1, 1].
    """

    def __init__(
        self,
        denoiser: Denoiser,
        scale: float | Tensor,
        negative: Tensor | None = None,
        interval: tuple[float, float] | None = None,
    ) -> None:
        self._denoiser = denoiser
        self._scale = scale
        self._none = not isinstance(scale, Tensor) and scale == 1
        self._negative = negative
        self._interval = interval

    def __call__(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        """As `Denoiser`; all of `sigma` must be equal when there is an interval."""
        # At scale 1 the other side cancels, so one evaluation does, whatever the negative.
        if self._none or not self._acts(sigma):
            return self._denoiser(x, sigma, context)
        other = torch.zeros_like(context) if self._negative is None else self._negative
        both = self._denoiser(
            torch.cat([x, x]), torch.cat([sigma, sigma]), torch.cat([context, other])
        )
        wanted, unwanted = both.chunk(2)
        return unwanted + self._scale * (wanted - unwanted)

    def _acts(self, sigma: Tensor) -> bool:
        if self._interval is None:
            return True
        low, high = self._interval
        return low <= float(sigma[0]) <= high
