"""Samplers: pure functions from noise to images over any denoiser.

All walk `sigmas` (falling, the last 0) from `x` [B, C, H, W], which has noise of level sigmas[0].
`noise(i)` gives step i its unit noise; `on_step(i)` is called after step i and may raise to stop.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from core.diffusion.denoiser import Denoiser

Noise = Callable[[int], Tensor]
OnStep = Callable[[int], None]
Sampler = Callable[..., Tensor]


def ddpm(
    denoise: Denoiser, x: Tensor, sigmas: Sequence[float], context: Tensor,
    noise: Noise, on_step: OnStep,
) -> Tensor:  # fmt: skip
    """Ancestral sampling by the exact posterior q(x_{t-1} | x_t, x0).

    Source: Ho et al. 2020 (arXiv:2006.11239), equations 6 and 7, with x scaled by
    1/sqrt(alpha_bar), so that sigma^2 = (1 - alpha_bar) / alpha_bar.
    """
    for i, (sigma, lower) in enumerate(pairwise(sigmas)):
        x0 = denoise(x, _level(x, sigma), context)
        share = (lower / sigma) ** 2
        x = x0 + share * (x - x0)
        if lower > 0:
            x = x + lower * math.sqrt(1 - share) * noise(i)
        on_step(i)
    return x


def ddim(
    denoise: Denoiser, x: Tensor, sigmas: Sequence[float], context: Tensor,
    noise: Noise, on_step: OnStep, eta: float = 0.0,
) -> Tensor:  # fmt: skip
    """DDIM: `eta` 0 adds no noise, 1 adds as much as `ddpm`.

    Source: Song et al. 2021 (arXiv:2010.02502), equations 12 and 16, scaled as in `ddpm`.
    """
    for i, (sigma, lower) in enumerate(pairwise(sigmas)):
        x0 = denoise(x, _level(x, sigma), context)
        x = _towards(x0, x, (sigma, lower), eta, noise, i)
        on_step(i)
    return x


def dpmpp_2m(
    denoise: Denoiser, x: Tensor, sigmas: Sequence[float], context: Tensor,
    noise: Noise, on_step: OnStep, eta: float = 0.0,
) -> Tensor:  # fmt: skip
    """DPM-Solver++(2M): second order with one evaluation a step; adds noise as `ddim` does.

    It is DDIM towards a guess that goes on as it went from the step before to this one. Source: Lu
    et al. 2022 (arXiv:2211.01095), with lambda = -log(sigma): DPM-Solver++(2M), algorithm 2, for
    `eta` 0, and for 1 its SDE-DPM-Solver++(2M).
    """
    before: Tensor | None = None
    h_before = 0.0
    for i, (sigma, lower) in enumerate(pairwise(sigmas)):
        x0 = guess = denoise(x, _level(x, sigma), context)
        if lower > 0:
            h = math.log(sigma / lower)
            if before is not None:
                guess = x0 + h / (2 * h_before) * (x0 - before)
            before, h_before = x0, h
        x = _towards(guess, x, (sigma, lower), eta, noise, i)
        on_step(i)
    return x


def heun(
    denoise: Denoiser, x: Tensor, sigmas: Sequence[float], context: Tensor,
    noise: Noise, on_step: OnStep,
) -> Tensor:  # fmt: skip
    """Heun's method: second order with two evaluations a step, one at the last; adds no noise.

    Source: Karras et al. 2022 (arXiv:2206.00364), algorithm 1 with t = sigma.
    """
    del noise
    for i, (sigma, lower) in enumerate(pairwise(sigmas)):
        slope = (x - denoise(x, _level(x, sigma), context)) / sigma
        ahead = x + (lower - sigma) * slope
        if lower > 0:
            there = (ahead - denoise(ahead, _level(x, lower), context)) / lower
            ahead = x + (lower - sigma) * (slope + there) / 2
        x = ahead
        on_step(i)
    return x


def _towards(
    guess: Tensor, x: Tensor, levels: tuple[float, float], eta: float, noise: Noise, step: int
) -> Tensor:
    """From one noise level to a lower one: some of the noise in x stays, `eta` of it anew."""
    sigma, lower = levels
    fresh = eta * lower * math.sqrt(1 - (lower / sigma) ** 2)
    kept = math.sqrt(lower**2 - fresh**2)
    x = guess + kept / sigma * (x - guess)
    return x + fresh * noise(step) if fresh > 0 else x


def _level(x: Tensor, sigma: float) -> Tensor:
    """A noise level for each image, [B] on the CPU: who asks for its value need not wait for x."""
    return torch.full((len(x),), sigma, dtype=x.dtype)


SAMPLERS: dict[str, Sampler] = {
    "ddpm": ddpm, "ddim": ddim, "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": partial(dpmpp_2m, eta=1.0), "heun": heun,
}  # fmt: skip
