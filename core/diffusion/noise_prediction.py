"""Noise prediction at discrete times as a `Denoiser`."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.diffusion.context_unet import ContextUnet, ContextUNetConfig
from core.diffusion.kernels.cpu import Kernels
from core.diffusion.layers import MOST_LEVELS, Remembered
from core.diffusion.schedules import LinearBetas


class NoisePrediction(nn.Module):
    """A network that predicts noise in x_t, as a `Denoiser` of x = x_t / sqrt(alpha_bar_t).

    There sigma^2 = (1 - alpha_bar) / alpha_bar, so x_t = x / sqrt(1 + sigma^2) and x_0 = x - sigma
    * noise. Source: Song et al. 2021 (arXiv:2010.02502), section 4.3. Levels between two times
    take the time between, by log(sigma); levels below the first time take the first.
    """

    def __init__(self, config: ContextUNetConfig, betas: LinearBetas) -> None:
        super().__init__()
        self.unet = ContextUnet(config)
        self.betas = betas
        # No buffer: it stays float64 whatever the network becomes.
        self._log_sigma = torch.tensor(betas.sigma[1:], dtype=torch.float64).log()
        self._times: Callable[[Tensor], Tensor] = self.time

    def draw_only(
        self, device: torch.device, dtype: torch.dtype, kernels: Kernels | None = None
    ) -> None:
        """Put it where it draws, in the form that computes fastest."""
        self.unet.draw_only(device, dtype, kernels)
        if device.type == "cpu":
            self._times = Remembered(self.time, MOST_LEVELS)

    def forward(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        dtype = self.unet.dtype
        s = sigma.to(x.device, non_blocking=True).view(-1, 1, 1, 1)
        t = (self._times(sigma) / self.betas.timesteps).to(
            x.device, self.unet.time_dtype, non_blocking=True
        )
        scaled = (x / (1 + s**2).sqrt()).to(dtype, memory_format=torch.channels_last)
        noise = self.unet(scaled, t, context.to(dtype))
        return torch.sub(x, s * noise.to(x.dtype, memory_format=torch.contiguous_format))

    def time(self, sigma: Tensor) -> Tensor:
        """The times [B] in 1..T, float64 and with fractions, at which noise is `sigma` [B]."""
        table = self._log_sigma.to(sigma.device)
        level = sigma.double().log().clamp(table[0], table[-1])
        above = torch.searchsorted(table, level).clamp(1, len(table) - 1)
        low, high = table[above - 1], table[above]
        return above + (level - low) / (high - low)
