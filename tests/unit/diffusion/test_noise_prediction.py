"""Noise prediction at discrete times, against the formulas that the course walks, in float64."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from core.diffusion.context_unet import ContextUNetConfig
from core.diffusion.noise_prediction import NoisePrediction
from core.diffusion.samplers import Sampler, ddim, ddpm, dpmpp_2m, heun
from core.diffusion.schedules import LinearBetas

from .conftest import learnt

BETAS = LinearBetas(24, 1e-3, 0.3)
CONFIG = ContextUNetConfig(channels=1, features=8, context=3, size=8)
CONTEXT = torch.tensor([[1.0, 0, 0.6], [0, 0, 0]], dtype=torch.float64)


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def denoiser() -> NoisePrediction:
    torch.manual_seed(0)
    made = NoisePrediction(CONFIG, BETAS).double()
    learnt(made.unet)
    return made


def draw(number: int) -> Tensor:
    generator = torch.Generator().manual_seed(number)
    return torch.randn(2, 1, 8, 8, dtype=torch.float64, generator=generator)


def predicted(denoiser: NoisePrediction, x: Tensor, t: int) -> Tensor:
    time = torch.full((2,), t / BETAS.timesteps, dtype=torch.float64)
    noise: Tensor = denoiser.unet(x, time, CONTEXT)
    return noise


def sampled(denoiser: NoisePrediction, sampler: Sampler, x: Tensor, times: Sequence[int]) -> Tensor:
    """By our sampler, between the two scalings: x_t is sqrt(alpha_bar_t) times what it walks."""
    return sampler(
        denoiser, x / math.sqrt(BETAS.alpha_bar[times[0]]), BETAS.sigmas(times), CONTEXT,
        noise=draw, on_step=lambda _: None,
    )  # fmt: skip


def test_every_level_of_the_table_is_its_time(denoiser: NoisePrediction) -> None:
    levels = torch.tensor(BETAS.sigma[1:], dtype=torch.float64)
    expected = torch.arange(1, 25, dtype=torch.float64)
    torch.testing.assert_close(denoiser.time(levels), expected)
    torch.testing.assert_close(denoiser.time(levels.float()), expected, rtol=0, atol=1e-4)


def test_levels_between_two_times_are_between_them(denoiser: NoisePrediction) -> None:
    between = torch.tensor([math.sqrt(BETAS.sigma[7] * BETAS.sigma[8])], dtype=torch.float64)
    assert float(denoiser.time(between)) == pytest.approx(7.5)
    outside = torch.tensor([BETAS.sigma[1] / 9, BETAS.sigma[-1] * 9], dtype=torch.float64)
    assert denoiser.time(outside).tolist() == [1, 24]


@pytest.mark.parametrize("t", [1, 12, 24])
def test_clean_image_is_what_the_predicted_noise_leaves(denoiser: NoisePrediction, t: int) -> None:
    x, now = draw(3), BETAS.alpha_bar[t]
    expected = (x - math.sqrt(1 - now) * predicted(denoiser, x, t)) / math.sqrt(now)
    sigma = torch.full((2,), BETAS.sigma[t], dtype=torch.float64)
    torch.testing.assert_close(denoiser(x / math.sqrt(now), sigma, CONTEXT), expected)


def by_ddpm(denoiser: NoisePrediction, x: Tensor) -> Tensor:
    for i, t in enumerate(range(BETAS.timesteps, 0, -1)):
        s1, s2, s3 = BETAS.scales(t)
        z = draw(i) if t > 1 else 0
        x = s1 * (x - s2 * predicted(denoiser, x, t)) + s3 * z
    return x


def by_ddim(denoiser: NoisePrediction, x: Tensor, times: Sequence[int], eta: float) -> Tensor:
    for i, (t, s) in enumerate(pairwise(times)):
        now, then = BETAS.alpha_bar[t], BETAS.alpha_bar[s]
        noise = predicted(denoiser, x, t)
        clean = (x - math.sqrt(1 - now) * noise) / math.sqrt(now)
        fresh = eta * math.sqrt((1 - then) / (1 - now)) * math.sqrt(1 - now / then)
        ahead = math.sqrt(1 - then - fresh**2) * noise
        x = math.sqrt(then) * clean + ahead + (fresh * draw(i) if s else 0)
    return x


def by_dpmpp_2m(denoiser: NoisePrediction, x: Tensor, times: Sequence[int]) -> Tensor:
    """Lu et al. 2022, algorithm 2, in x_t: alpha, sigma and lambda = log(alpha / sigma)."""
    alpha = [math.sqrt(a) for a in BETAS.alpha_bar]
    sigma = [math.sqrt(1 - a) for a in BETAS.alpha_bar]
    before, h_before = None, 0.0
    for t, s in pairwise(times):
        clean = (x - sigma[t] * predicted(denoiser, x, t)) / alpha[t]
        if s == 0:
            return clean
        h = math.log(alpha[s] / sigma[s]) - math.log(alpha[t] / sigma[t])
        guess = clean
        if before is not None:
            r = h_before / h
            guess = (1 + 1 / (2 * r)) * clean - 1 / (2 * r) * before
        x = sigma[s] / sigma[t] * x - alpha[s] * (math.exp(-h) - 1) * guess
        before, h_before = clean, h
    raise AssertionError(times)


def by_heun(denoiser: NoisePrediction, x: Tensor, times: Sequence[int]) -> Tensor:
    """The predicted noise is the slope of x_t / alpha over sigma / alpha: the trapezium of two."""
    for t, s in pairwise(times):
        fall = BETAS.sigma[s] - BETAS.sigma[t]
        start, slope = x / math.sqrt(BETAS.alpha_bar[t]), predicted(denoiser, x, t)
        x = (start + fall * slope) * math.sqrt(BETAS.alpha_bar[s])
        if s:
            slope = (slope + predicted(denoiser, x, s)) / 2
            x = (start + fall * slope) * math.sqrt(BETAS.alpha_bar[s])
    return x


@pytest.mark.parametrize("times", [BETAS.times(2), BETAS.times(6), BETAS.times_by(7)])
def test_second_order_samplers_are_the_papers(denoiser: NoisePrediction, times: list[int]) -> None:
    x = draw(53)
    for sampler, formula in ((dpmpp_2m, by_dpmpp_2m), (heun, by_heun)):
        walked = sampled(denoiser, sampler, x, times)
        torch.testing.assert_close(walked, formula(denoiser, x, times), rtol=1e-9, atol=1e-9)


def test_ddpm_at_every_time_is_the_courses_step(denoiser: NoisePrediction) -> None:
    x, times = draw(50), BETAS.times(BETAS.timesteps)
    torch.testing.assert_close(
        sampled(denoiser, ddpm, x, times), by_ddpm(denoiser, x), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("times", [BETAS.times(1), BETAS.times(5), BETAS.times_by(7)])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_with_any_steps_is_the_papers(
    denoiser: NoisePrediction, times: list[int], eta: float
) -> None:
    x = draw(51)
    walked = sampled(denoiser, partial(ddim, eta=eta), x, times)
    torch.testing.assert_close(walked, by_ddim(denoiser, x, times, eta), rtol=1e-9, atol=1e-9)


def test_ddim_of_every_step_with_eta_one_is_ddpm(denoiser: NoisePrediction) -> None:
    x, times = draw(52), BETAS.times(BETAS.timesteps)
    walked = sampled(denoiser, partial(ddim, eta=1.0), x, times)
    torch.testing.assert_close(walked, by_ddpm(denoiser, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("steps", range(1, 25))
def test_no_step_evaluates_a_negative_time(denoiser: NoisePrediction, steps: int) -> None:
    seen: list[float] = []

    def watched(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        seen.append(float(denoiser.time(sigma)[0]))
        return torch.zeros_like(x)

    walk: Callable[..., Tensor] = partial(ddim, eta=0.5)
    walk(watched, draw(1), BETAS.sigmas(BETAS.times(steps)), CONTEXT, draw, lambda _: None)
    assert [round(t) for t in seen] == BETAS.times(steps)[:-1]
    assert min(seen) >= 1
