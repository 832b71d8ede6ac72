"""Samplers against data whose denoiser is known exactly: a Gaussian."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from core.diffusion.samplers import SAMPLERS, Sampler, ddim, ddpm, dpmpp_2m, heun
from core.diffusion.schedules import karras_sigmas

MEAN, STD = 0.3, 0.5
COUNT = 20_000
HIGH = 80.0


def gaussian(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
    """E[x0 | x] for pixels that are N(MEAN, STD^2)."""
    s2 = (sigma**2).view(-1, 1, 1, 1)
    return (MEAN * s2 + x * STD**2) / (s2 + STD**2)


def start(count: int = COUNT) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return HIGH * torch.randn(count, 1, 1, 1, dtype=torch.float64, generator=generator)


def noise(step: int) -> Tensor:
    generator = torch.Generator().manual_seed(100 + step)
    return torch.randn(COUNT, 1, 1, 1, dtype=torch.float64, generator=generator)


def run(sampler: Sampler, steps: int, on_step: list[int] | None = None) -> Tensor:
    x = start()
    return sampler(
        gaussian, x, karras_sigmas(steps, 0.002, HIGH), torch.zeros(COUNT, 1),
        noise=noise, on_step=(on_step if on_step is not None else []).append,
    )  # fmt: skip


@pytest.mark.parametrize(
    "sampler",
    [
        ddpm, ddim, partial(ddim, eta=0.5), partial(ddim, eta=1.0), dpmpp_2m,
        partial(dpmpp_2m, eta=0.5), partial(dpmpp_2m, eta=1.0), heun,
    ],
)  # fmt: skip
def test_sampler_recovers_the_mean_and_spread_of_the_data(sampler: Sampler) -> None:
    x = run(sampler, 200)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(x.std()) == pytest.approx(STD, rel=0.04)


def test_ddim_with_eta_one_is_ddpm() -> None:
    torch.testing.assert_close(run(partial(ddim, eta=1.0), 40), run(ddpm, 40))


def test_ddim_without_eta_follows_the_exact_flow() -> None:
    x = start()
    exact = MEAN + (x - MEAN) * STD / (HIGH**2 + STD**2) ** 0.5
    torch.testing.assert_close(run(ddim, 2000), exact, atol=5e-3, rtol=0)


def guesses_of_a_curve(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
    """Something that differs at each level and pixel."""
    return torch.tanh(x) / (1 + sigma.view(-1, 1, 1, 1))


@pytest.mark.parametrize("eta", [0, 1])
def test_dpmpp_2m_is_the_papers_with_noise_and_without(eta: int) -> None:
    """Lu et al. 2022, the multistep updates of the flow and of the stochastic equation."""
    sigmas = karras_sigmas(6, 0.05, 20.0)
    x, before, h_before = start(8), torch.zeros(0), 0.0
    mine = dpmpp_2m(
        guesses_of_a_curve, x, sigmas, torch.zeros(8, 1),
        noise=lambda i: noise(i)[:8], on_step=lambda _: None, eta=eta,
    )  # fmt: skip
    for i, (sigma, lower) in enumerate(pairwise(sigmas)):
        x0 = guesses_of_a_curve(x, torch.full((8,), sigma, dtype=x.dtype), x)
        if lower == 0:
            x = x0
            break
        h = math.log(sigma) - math.log(lower)
        gain, slope = 1 - math.exp(-(1 + eta) * h), torch.zeros(())
        if i:
            slope = (x0 - before) / (h_before / h)
        x = lower / sigma * math.exp(-eta * h) * x + gain * x0 + gain / 2 * slope
        x = x + eta * lower * math.sqrt(1 - math.exp(-2 * h)) * noise(i)[:8]
        before, h_before = x0, h
    torch.testing.assert_close(mine, x, rtol=1e-9, atol=1e-9)


def test_second_order_is_nearer_to_the_flow_than_first_order() -> None:
    x = start()
    exact = MEAN + (x - MEAN) * STD / (HIGH**2 + STD**2) ** 0.5
    first = (run(ddim, 20) - exact).abs().mean()
    second = (run(dpmpp_2m, 20) - exact).abs().mean()
    assert second < first / 2


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 13, 50])
def test_any_number_of_steps_ends_on_finite_images(name: str, steps: int) -> None:
    seen: list[int] = []
    x = run(SAMPLERS[name], steps, seen)
    assert seen == list(range(steps))
    assert torch.isfinite(x).all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_on_step_raises_stops_the_sampling(name: str) -> None:
    stopped_after = 6 if name == "heun" else 3
    evaluated = []

    def denoise(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        evaluated.append(float(sigma[0]))
        return gaussian(x, sigma, context)

    def stop(step: int) -> None:
        if step == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        SAMPLERS[name](
            denoise, start(4), karras_sigmas(9, 0.01, HIGH), torch.zeros(4, 1),
            noise=lambda i: noise(i)[:4], on_step=stop,
        )  # fmt: skip
    assert len(evaluated) == stopped_after


def test_heun_takes_two_evaluations_a_step_but_one_at_the_last() -> None:
    seen: list[float] = []

    def denoise(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        seen.append(float(sigma[0]))
        return gaussian(x, sigma, context)

    heun(denoise, start(2), [9.0, 3.0, 1.0, 0.0], torch.zeros(2, 1), noise, lambda _: None)
    assert seen == [9, 3, 3, 1, 1]


def test_karras_levels_fall_from_high_to_low_and_then_to_nothing() -> None:
    sigmas = karras_sigmas(12, 0.01, 40.0)
    assert len(sigmas) == 13
    assert sigmas == sorted(sigmas, reverse=True)
    assert sigmas[0] == pytest.approx(40)
    assert sigmas[-2] == pytest.approx(0.01)
    assert sigmas[-1] == 0
