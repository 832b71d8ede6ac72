"""The training loop: steps until the budget is spent, the same after a kill as without one."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from core.diffusion.unet import Preconditioned, UNetConfig
from core.training import checkpoint
from core.training.batches import Batches
from core.training.checkpoint import Progress
from core.training.dataset import Examples
from core.training.ema import Ema
from core.training.loss import denoising_loss

_CLIP = 1.0


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop: whichever of the two is spent first."""

    images: float = math.inf
    seconds: float = math.inf

    def spent(self, images: int, seconds: float) -> float:
        """The share of the budget that is used, 0 to 1."""
        return min(1.0, max(images / self.images, seconds / self.seconds))


@dataclass(frozen=True, slots=True)
class Regime:
    """How to learn."""

    batch: int = 32
    rate: float = 7e-4
    warm_up: int = 300
    decay_from: float = 0.4
    weight_decay: float = 1e-2
    seed: int = 0

    def rate_at(self, step: int, spent: float) -> float:
        """The learning rate: a ramp, a plateau, then half a cosine to 0 where the budget ends."""
        ramp = self.rate * min(1.0, (step + 1) / self.warm_up)
        if spent < self.decay_from:
            return ramp
        down = (spent - self.decay_from) / (1 - self.decay_from)
        return ramp * 0.5 * (1 + math.cos(math.pi * down))


class Run:
    """A training run: the network, its average, the optimizer, and how far they have come."""

    def __init__(
        self, examples: Examples, config: UNetConfig, sigma_data: float, regime: Regime,
        mirrored: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        torch.manual_seed(regime.seed)
        self.denoiser = Preconditioned(config, sigma_data).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = Ema(self.denoiser)
        self.regime = regime
        self.batches = Batches(examples, regime.batch, regime.seed, mirrored)
        self.optimizer = torch.optim.AdamW(
            self.denoiser.parameters(), lr=regime.rate, betas=(0.9, 0.99),
            weight_decay=regime.weight_decay, fused=True,
        )  # fmt: skip
        self.progress = Progress(0, 0.0, _digest(examples, regime))

    @property
    def images(self) -> int:
        """How many images have been seen."""
        return self.progress.step * self.regime.batch

    def train(self, budget: Budget, on_step: Callable[[float], None]) -> None:
        """Step until the budget is spent; `on_step` gets each step's loss and may raise to stop."""
        before, started = self.progress.seconds, time.monotonic()
        while (spent := budget.spent(self.images, self.progress.seconds)) < 1:
            loss = self._step(spent)
            seconds = before + time.monotonic() - started
            self.progress = Progress(self.progress.step + 1, seconds, self.progress.digest)
            on_step(loss)

    def _step(self, spent: float) -> float:
        step = self.progress.step
        for group in self.optimizer.param_groups:
            group["lr"] = self.regime.rate_at(step, spent)
        generator = torch.Generator().manual_seed(self.regime.seed * 2**32 + step)
        loss = denoising_loss(self.denoiser, self.batches.batch(step), generator)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(self.denoiser.parameters(), _CLIP)
        self.optimizer.step()
        self.ema.update(self.denoiser, step + 1)
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write the checkpoint."""
        checkpoint.save(path, self.denoiser, self.ema, self.optimizer, self.progress)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of a run on the same data. Raises CorruptError."""
        wanted = self.progress.digest
        self.progress = checkpoint.load(
            path, self.denoiser, self.ema, self.optimizer, digest=wanted
        )


def _digest(examples: Examples, regime: Regime) -> str:
    """Names what is learnt and how: a checkpoint of anything else must not be gone on from."""
    known = hashlib.sha256(examples.images.tobytes())
    known.update(repr((examples.classes, examples.vocabulary, regime)).encode())
    return known.hexdigest()
