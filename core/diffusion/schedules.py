"""Noise levels, from the first step of sampling to the last."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Self

from core.errors import ModelError, UsageError
from core.request.sampling import DISCRETE
from core.request.spec import Sampling
from core.weights.spec import ModelSpec


def levels(spec: ModelSpec, sampling: Sampling) -> list[float]:
    """The noise levels that resolved `sampling` of a model walks. Raises UsageError.

    A model with discrete times takes them with `ddpm` and `ddim`; everything else takes Karras's.
    """
    if sampling.steps is None or sampling.sampler is None:
        raise UsageError("sampling has gaps.", remedy="Plan the request first.")
    if spec.betas is None or sampling.sampler not in DISCRETE:
        return karras_sigmas(sampling.steps, spec.sigma_min, spec.sigma_max)
    betas = LinearBetas.of(spec)
    if sampling.step_size is not None:
        return betas.sigmas(betas.times_by(sampling.step_size))
    return betas.sigmas(betas.times(sampling.steps))


def karras_sigmas(steps: int, low: float, high: float, rho: float = 7.0) -> list[float]:
    """`steps` levels falling from `high` to `low`, then 0.

    Source: Karras et al. 2022 (arXiv:2206.00364), equation 5.
    """
    if steps == 1:
        return [high, 0.0]
    first, last = high ** (1 / rho), low ** (1 / rho)
    levels = [(first + i / (steps - 1) * (last - first)) ** rho for i in range(steps)]
    return [*levels, 0.0]


@dataclass(frozen=True)
class LinearBetas:
    """The discrete schedule of noise-predicting models: T times, betas that rise linearly.

    x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise, t = 1..T; at t = 0 there is none.
    Source: Ho et al. 2020 (arXiv:2006.11239), section 4, on a grid of T + 1 points from `start`
    to `end`, the first of which counts in every alpha_bar.
    """

    timesteps: int = 500
    start: float = 1e-4
    end: float = 0.02

    @classmethod
    def of(cls, spec: ModelSpec) -> Self:
        """A model's. Raises ModelError if it has none."""
        if spec.betas is None:
            raise ModelError(f"betas: the model {spec.name} has no discrete times.")
        return cls(**spec.betas.model_dump())

    @cached_property
    def alpha_bar(self) -> tuple[float, ...]:
        """The share of the signal's power at t = 0..T, falling from 1."""
        slope = (self.end - self.start) / self.timesteps
        alphas = (1 - self.start - slope * t for t in range(self.timesteps + 1))
        return (1.0, *list(accumulate(alphas, lambda a, b: a * b))[1:])

    @cached_property
    def sigma(self) -> tuple[float, ...]:
        """Noise over signal at t = 0..T, sqrt((1 - alpha_bar) / alpha_bar), rising from 0."""
        return tuple(math.sqrt((1 - a) / a) for a in self.alpha_bar)

    def scales(self, t: int) -> tuple[float, float, float]:
        """s1, s2, s3 of the step t -> t - 1: `s1 * (x - s2 * predicted noise) + s3 * fresh noise`.

        Source: Ho et al. 2020, algorithm 2, with the posterior's variance (equation 7), which is 0
        at the last step, t = 1.
        """
        now, then = self.alpha_bar[t], self.alpha_bar[t - 1]
        alpha = now / then
        variance = (1 - then) / (1 - now) * (1 - alpha)
        return 1 / math.sqrt(alpha), (1 - alpha) / math.sqrt(1 - now), math.sqrt(variance)

    def times(self, steps: int) -> list[int]:
        """`steps` + 1 falling times, spread evenly from T to 0. Raises UsageError."""
        if not 1 <= steps <= self.timesteps:
            raise UsageError(f"steps = {steps}: this model takes 1 to {self.timesteps}.")
        return [(i * self.timesteps + steps // 2) // steps for i in range(steps, -1, -1)]

    def times_by(self, size: int) -> list[int]:
        """Times from T down by `size`, the last step as short as it must be to end at 0."""
        if not 1 <= size <= self.timesteps:
            raise UsageError(f"step_size = {size}: this model takes 1 to {self.timesteps}.")
        return [*range(self.timesteps, 0, -size), 0]

    def sigmas(self, times: Sequence[int]) -> list[float]:
        """The noise levels at `times`, which must fall."""
        if any(t <= s for t, s in pairwise(times)):
            raise UsageError(f"times = {list(times)}: they must fall.")
        return [self.sigma[t] for t in times]
