"""Reports on a run while it goes: events for people, and files in its folder."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from core.diffusion.model import load_model, save_model
from core.errors import SpritemillError
from core.training import plot, samples
from core.training.evaluation import held_out_loss
from core.training.examples import Examples
from core.training.history import History, Moment
from core.training.loop import Run
from core.training.options import CHECKPOINT
from core.training.regime import Budget
from core.weights.spec import ModelSpec

Emit = Callable[[dict[str, Any]], None]

MODEL, HISTORY = "model.safetensors", "history.csv"
PLOT, NOISING = "loss.png", "noising.png"
_TICK_SECONDS = 1.0
_LOSS_STEPS = 50
_PACE_SECONDS = 120.0
_GLANCE, _LAST = 4, 8
"""Sprites of each class on the sheets while it trains, and on the last."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a run is to become: the model, from which sprites, within what; where it lies."""

    spec: ModelSpec
    tested: Examples
    budget: Budget
    out: Path
    look_seconds: float


class Pace:
    """Images a second of late: a night that the machine slept through says nothing of the next."""

    def __init__(self, images: int, seconds: float) -> None:
        self._marks = deque([(images, seconds)])

    def __call__(self, images: int, seconds: float) -> float:
        """The pace over the last two minutes, or since the beginning."""
        while len(self._marks) > 1 and seconds - self._marks[1][1] >= _PACE_SECONDS:
            self._marks.popleft()
        before, then = self._marks[0]
        self._marks.append((images, seconds))
        return (images - before) / max(seconds - then, 1e-9)


class Watch:
    """Called after each step. Raises SpritemillError when the loss is no number any more."""

    def __init__(self, run: Run, goal: Goal, emit: Emit) -> None:
        self._run, self._goal, self._emit = run, goal, emit
        self._history = History(goal.out / HISTORY, run.progress.step)
        moments = self._history.moments
        self._loss = moments[-1].loss if moments else math.nan
        self._ticked = self._looked = monotonic()
        self._pace = Pace(run.images, run.progress.seconds)

    def __call__(self) -> None:
        now = monotonic()
        if now - self._looked >= self._goal.look_seconds:
            self.look()
        elif self._run.progress.step % _LOSS_STEPS == 0:
            self._note()
        if now - self._ticked >= _TICK_SECONDS:
            self._tell("step")

    def look(self, *, last: bool = False) -> None:
        """Keep what there is, measure on what is held out, draw a sheet and the losses."""
        run, goal = self._run, self._goal
        channels, device = goal.spec.channels, run.machine.device
        tested = held_out_loss(run.ema.denoiser, goal.tested, channels, device)
        self.keep(tested)
        sheet = goal.out / f"sheet-{run.progress.step:06d}.png"
        note, count = f"{run.all_images:,} images seen", _LAST if last else _GLANCE
        samples.draw(load_model(goal.out / MODEL, device), note, count).save(sheet)
        plot.draw(goal.spec.title, self._history.moments).save(goal.out / PLOT)
        self._tell("look", sheet=str(sheet), validation_loss=tested)
        self._looked = monotonic()

    def keep(self, tested: float | None = None) -> None:
        """Write the checkpoint and the model; before the first step there is nothing to keep."""
        if self._run.progress.step:
            self._note(tested)
            self._run.save(self._goal.out / CHECKPOINT)
            save_model(self._goal.out / MODEL, self.spec(), self._run.ema.denoiser)

    def spec(self) -> ModelSpec:
        run = self._run
        trained = f"{run.images:,} images in {run.progress.seconds / 60:.0f} minutes"
        if run.progress.earlier:
            trained += f", after {run.progress.earlier:,} images before"
        return self._goal.spec.model_copy(update={"trained": trained})

    def _note(self, tested: float | None = None) -> None:
        """Take the mean loss of the steps since the last time into the history."""
        run, progress = self._run, self._run.progress
        mean = run.mean_loss()
        if mean is None and (tested is None or math.isnan(self._loss)):
            return  # no step since, or ever here
        self._loss = self._loss if mean is None else mean
        if not math.isfinite(self._loss):
            raise SpritemillError(
                f"loss = {self._loss} after {progress.step} steps: training has failed.",
                remedy="Go on from the last checkpoint with a lower --rate.",
            )
        rate = run.optimizer.param_groups[0]["lr"]
        self._history.add(
            Moment(progress.step, run.images, round(progress.seconds, 2), rate, self._loss, tested)
        )

    def _tell(self, event: str, **fields: object) -> None:
        run, progress, budget = self._run, self._run.progress, self._goal.budget
        images, seconds = run.images, progress.seconds
        rate = self._pace(images, seconds)
        self._emit(
            {
                "event": event, "step": progress.step, "images": images,
                "loss": None if math.isnan(self._loss) else round(self._loss, 5),
                "images_per_second": round(rate, 1), "spent": budget.spent(images, seconds),
                "seconds_left": round(budget.left(images, seconds, max(rate, 1e-9)), 1), **fields,
            }
        )  # fmt: skip
        self._ticked = monotonic()
