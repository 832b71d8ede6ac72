"""How to learn, and for how long."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

_RATE, _BATCH, _MOST_RATE = 7e-4, 32, 2e-3


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop: whichever of the two is spent first."""

    images: float = math.inf
    seconds: float = math.inf

    def spent(self, images: float, seconds: float) -> float:
        """The share of the budget that is used, 0 to 1."""
        return min(1.0, max(images / self.images, seconds / self.seconds))

    def left(self, images: float, seconds: float, rate: float) -> float:
        """The seconds that are left at `rate` images a second."""
        return max(0.0, min((self.images - images) / rate, self.seconds - seconds))


@dataclass(frozen=True, slots=True)
class Regime:
    """How to learn: Adam with decoupled weight decay, and a learning rate that rises and falls.

    `balance` is the power of a class's size by which it is drawn: 1 shows every sprite alike.
    The classes in `shares` have that share of all whatever their size.
    """

    batch: int = _BATCH
    rate: float = _RATE
    warm_up: int = 300
    decay_from: float = 0.4
    decay: Literal["cosine", "linear"] = "cosine"
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.99)
    balance: float = 0.5
    shares: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def rate_at(self, step: int, spent: float) -> float:
        """The learning rate: a ramp, a plateau, then half a cosine or a line to 0 at the end."""
        ramp = self.rate * min(1.0, (step + 1) / self.warm_up)
        if spent < self.decay_from:
            return ramp
        down = (spent - self.decay_from) / (1 - self.decay_from)
        return ramp * (1 - down if self.decay == "linear" else 0.5 * (1 + math.cos(math.pi * down)))


COURSE = Regime(
    batch=100, rate=1e-3, warm_up=1, decay_from=0.0, decay="linear", weight_decay=0.0,
    betas=(0.9, 0.999), balance=1.0,
)  # fmt: skip
"""The regime of the course "How Diffusion Models Work", whose network is the context-unet."""


def scaled(regime: Regime, batch: int) -> Regime:
    """The regime with another batch, its rate by the square root of that, up to a bound."""
    rate = regime.rate * math.sqrt(batch / regime.batch)
    return replace(regime, batch=batch, rate=min(rate, max(regime.rate, _MOST_RATE)))
