"""Samplers proven: on a mixture of Gaussians whose exact denoiser is known, in float64."""

import math
import sys
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from core.diffusion.samplers import Sampler, ddim, ddpm, dpmpp_2m, heun
from core.diffusion.schedules import karras_sigmas

from . import mixture

COUNT = 10_000
LOW = 0.002
NOTHING = torch.zeros(1, 1)


def noise(count: int, seed: int) -> Callable[[int], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda _: torch.randn(count, 2, 1, 1, dtype=torch.float64, generator=generator)


def sampled(sampler: Sampler, steps: int, seed: int = 1) -> Tensor:
    return sampler(
        mixture.denoise, mixture.start(COUNT, seed), karras_sigmas(steps, LOW, mixture.HIGH),
        NOTHING, noise=noise(COUNT, 1000 + seed), on_step=lambda _: None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sampler", "steps"),
    [
        (ddpm, 300), (ddim, 300), (partial(ddim, eta=0.5), 300), (partial(ddim, eta=1.0), 300),
        (dpmpp_2m, 60), (partial(dpmpp_2m, eta=1.0), 60), (heun, 40),
    ],
    ids=["ddpm", "ddim", "ddim-half", "ddim-one", "dpmpp_2m", "dpmpp_2m_sde", "heun"],
)  # fmt: skip
def test_sampler_recovers_the_mixture_within_statistical_error(
    sampler: Sampler, steps: int
) -> None:
    x = sampled(sampler, steps)
    points = x.flatten(1)
    # Four standard errors of a sample of COUNT, for each number.
    mean_error = 4 * (mixture.COVARIANCE.diag() / COUNT).sqrt()
    assert bool(((points.mean(0) - mixture.MEAN).abs() < mean_error).all())
    found = torch.cov(points.T)
    spread = mixture.COVARIANCE.diag()
    covariance_error = 4 * ((torch.outer(spread, spread) * 2) / COUNT).sqrt()
    assert bool(((found - mixture.COVARIANCE).abs() < covariance_error).all())
    share_error = 4 * (mixture.WEIGHTS * (1 - mixture.WEIGHTS) / COUNT).sqrt()
    assert bool(((mixture.shares(x) - mixture.WEIGHTS).abs() < share_error).all())


def test_ddim_with_eta_one_is_distributed_as_ddpm() -> None:
    """The Kolmogorov-Smirnov distance of independent samples, at a level of one in a thousand."""
    one = sampled(partial(ddim, eta=1.0), 60, seed=2).flatten(1)
    other = sampled(ddpm, 60, seed=3).flatten(1)
    bound = 1.95 * math.sqrt(2 / COUNT)
    for direction in torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=torch.float64):
        assert distance(one @ direction, other @ direction) < bound
    plain = sampled(ddim, 60, seed=4).flatten(1)
    assert distance(plain[:, 0], 0.95 * other[:, 0]) > bound  # it can tell


def distance(a: Tensor, b: Tensor) -> float:
    both = torch.cat([a, b]).sort().values
    cumulated = [
        torch.searchsorted(each.sort().values, both, right=True) / COUNT for each in (a, b)
    ]
    return float((cumulated[0] - cumulated[1]).abs().max())


@pytest.mark.parametrize(
    ("sampler", "least", "most"),
    [(ddim, 0.9, 1.2), (dpmpp_2m, 1.8, 2.4), (heun, 1.8, 2.4)],
    ids=["ddim", "dpmpp_2m", "heun"],
)
def test_order_of_convergence(
    sampler: Sampler, least: float, most: float, record_property: Callable[[str, object], None]
) -> None:
    """Halving the steps' length divides the error by 2^order, on the way to a level above 0."""
    exact = walked(heun, 2048)
    steps = [64, 128, 256]
    errors = [float((walked(sampler, n) - exact).square().mean().sqrt()) for n in steps]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    record_property("order", orders)
    sys.stdout.write(f"orders {orders[0]:.2f} and {orders[1]:.2f}\n")  # shown by -rP
    assert least <= min(orders)
    assert max(orders) <= most


@cache
def walked(sampler: Sampler, steps: int) -> Tensor:
    sigmas = karras_sigmas(steps + 1, 0.1, mixture.HIGH)[:-1]
    return sampler(
        mixture.denoise, mixture.start(200), sigmas, NOTHING,
        noise=noise(200, 0), on_step=lambda _: None,
    )  # fmt: skip
