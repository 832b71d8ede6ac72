"""The training loop: steps until the budget is spent, the same after a kill as without one."""

import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.diffusion.model import Trainable
from core.diffusion.noise_prediction import NoisePrediction
from core.diffusion.schedules import LinearBetas
from core.training import checkpoint
from core.training.batches import Batches, stream
from core.training.checkpoint import Progress
from core.training.ema import Ema
from core.training.examples import Examples
from core.training.loss import loss_of
from core.training.recipe import Augment
from core.training.regime import Budget, Regime

_CLIP = 1.0
_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and how the arithmetic is done: in bfloat16 with `mixed`, by `compiled` kernels."""

    device: torch.device = _CPU
    mixed: bool = False
    compiled: bool = False


class Run:
    """A training run: the network, its average, the optimizer, and how far they have come."""

    def __init__(
        self, examples: Examples, denoiser: Trainable, regime: Regime, *, channels: int = 4,
        varied: Augment | None = None, machine: Machine | None = None,
    ) -> None:  # fmt: skip
        self.machine = machine or Machine()
        device, varied = self.machine.device, varied or Augment()
        self.denoiser = denoiser.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = Ema(self.denoiser)
        self.regime = regime
        self.names = (*examples.classes, *examples.vocabulary)
        self.batches = Batches(
            examples, regime.batch, regime.seed, varied=varied, channels=channels,
            balance=regime.balance, shares=regime.shares, device=device,
        )  # fmt: skip
        self.optimizer = torch.optim.AdamW(
            self.denoiser.parameters(), lr=regime.rate, betas=regime.betas,
            weight_decay=regime.weight_decay, fused=True,
        )  # fmt: skip
        noise = denoiser.betas if isinstance(denoiser, NoisePrediction) else denoiser.chroma
        digest = _digest(examples, regime, channels, varied, noise)
        self.progress = Progress(0, 0.0, digest, batch=regime.batch)
        self._loss = loss_of(self.denoiser, device)
        self._losses = torch.zeros(2, device=device)  # their sum and number since last asked
        self._generator = torch.Generator(device)
        if self.machine.compiled:
            self.denoiser.unet.compile(dynamic=False)

    @property
    def images(self) -> int:
        """How many images this run has seen."""
        return self.progress.step * self.regime.batch

    @property
    def all_images(self) -> int:
        """How many images the weights have seen, those before this run too."""
        return self.images + self.progress.earlier

    def train(
        self, budget: Budget, on_step: Callable[[], None] = lambda: None, stop: Event | None = None
    ) -> bool:
        """Step until the budget is spent, or `stop` is set: then False."""
        before, started = self.progress.seconds, time.monotonic()
        while (spent := budget.spent(self.images, self.progress.seconds)) < 1:
            if stop and stop.is_set():
                return False
            self._step(spent)
            seconds = before + time.monotonic() - started
            self.progress = replace(self.progress, step=self.progress.step + 1, seconds=seconds)
            on_step()
        return True

    def mean_loss(self) -> float | None:
        """The mean loss of the steps since this was last asked, if any; waits for the device."""
        total, count = self._losses.tolist()
        self._losses.zero_()
        return float(total / count) if count else None

    def save(self, path: Path) -> None:
        """Write the checkpoint."""
        checkpoint.save(
            path, self.denoiser, self.ema, self.optimizer, self.progress, self.names
        )  # fmt: skip

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of a run on the same data. Raises CorruptError."""
        wanted = self.progress.digest
        self.progress = checkpoint.load(
            path, self.denoiser, self.ema, self.optimizer, digest=wanted
        )

    def _step(self, spent: float) -> None:
        step, regime = self.progress.step, self.regime
        for group in self.optimizer.param_groups:
            group["lr"] = regime.rate_at(step, spent)
        batch = self.batches.batch(step)
        self._generator.manual_seed(stream(regime.seed, 2 * step + 1))
        kind = self.machine.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self.machine.mixed), _attention(kind):
            loss = self._loss(batch, self._generator)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(self.denoiser.parameters(), _CLIP)
        self.optimizer.step()
        self.ema.update(self.denoiser, step + 1 + self.progress.earlier / regime.batch)
        self._losses[0] += loss.detach()
        self._losses[1] += 1


def _attention(kind: str) -> AbstractContextManager[None]:
    """On a CPU attention in plain products: the way back through the fused one takes 8 times as
    long at these sizes.
    """
    return sdpa_kernel(SDPBackend.MATH) if kind == "cpu" else nullcontext()


def _digest(
    examples: Examples, regime: Regime, channels: int, varied: Augment, noise: LinearBetas | float
) -> str:
    """Names what is learnt and how: a checkpoint of anything else must not be gone on from."""
    known = hashlib.sha256(examples.images.tobytes())
    known.update(examples.labels.tobytes())
    how = (examples.classes, examples.vocabulary, examples.words, regime, channels)
    shown = [sorted(classes) for classes in (varied.mirrored, varied.turned, varied.rolled)]
    known.update(repr((*how, *shown, varied.shift, varied.recolour, noise)).encode())
    return known.hexdigest()
