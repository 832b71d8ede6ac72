"""Train a model on a folder of sprites: `python -m workers.commands.train DATA --out DIR`."""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated

import numpy as np
import torch
import typer
from torch.utils.flop_counter import FlopCounterMode

from core.diffusion.device import tile_size
from core.diffusion.model import Model, describe, save_model
from core.diffusion.tile import render_tile
from core.diffusion.unet import GRAIN, Preconditioned, UNetConfig
from core.errors import SpritemillError, UsageError
from core.request.plan import noise_key
from core.request.spec import Sampling
from core.sprites.sheet import Row, draw
from core.training import dataset, recipe
from core.training.dataset import Examples
from core.training.evaluation import held_out_loss
from core.training.loop import Budget, Regime, Run
from core.weights.spec import ModelSpec, SamplingDefaults

SIGMA_MIN, SIGMA_MAX, SIGMA_DATA = 0.01, 40.0, 0.5
DEFAULTS = SamplingDefaults(sampler="dpmpp_2m", steps=12, guidance=3.0)
_LOOK_SECONDS = 600.0
_LOG_STEPS = 50
_GLANCE, _CARD = 4, 8
"""Sprites of each class on the sheets while it trains, and on the last."""


@dataclass(frozen=True, slots=True)
class About:
    """What the exported model says of itself beside the facts."""

    name: str
    title: str
    licence: str
    data: str


def main(
    data: Annotated[Path, typer.Argument(help="Folder with metadata.csv and sprites.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoint, sheets, model.")],
    name: Annotated[str, typer.Option(help="The model's name.")] = "dungeon-32",
    title: Annotated[str, typer.Option(help="The model's title.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "unknown",
    source: Annotated[str, typer.Option(help="Where the sprites come from.")] = "",
    minutes: Annotated[float, typer.Option(min=0.01, help="Time to train.")] = 90.0,
    images: Annotated[float, typer.Option(min=1, help="Sprites to show it, at most.")] = 1e12,
    batch: Annotated[int, typer.Option(min=1, help="Sprites in a step.")] = 32,
    size: Annotated[int, typer.Option(min=8, help="Width and height of a sprite.")] = 32,
    plain: Annotated[bool, typer.Option(help="Every category is a class.")] = False,
    held_out: Annotated[float, typer.Option(min=0, max=0.5, help="Share to test on.")] = 0.02,
    seed: Annotated[int, typer.Option(min=0, help="Other seed, other model.")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on from the run's checkpoint.")] = False,
) -> None:
    """Train, drawing a sheet every ten minutes, and write `model.safetensors` at the end."""
    if size % GRAIN:
        raise UsageError(f"size = {size}: the network takes multiples of {GRAIN}.")
    taken = recipe.plain(dataset.categories(data), size) if plain else recipe.DUNGEON
    examples = dataset.read(data, taken, seed)
    learnt, tested = dataset.split(examples, held_out, seed)
    config = UNetConfig(channels=4, context=len(examples.classes) + len(examples.vocabulary))
    run = Run(learnt, config, SIGMA_DATA, Regime(batch=batch, seed=seed), taken.mirrored)
    about = About(name, title or name, licence, source or str(data.name))
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.safetensors"
    if resume:
        if not checkpoint.is_file():
            raise UsageError(f"{checkpoint} is not there.", remedy="Leave --resume out.")
        run.resume(checkpoint)
    watch = Watch(run, examples, tested, about, out)
    run.train(Budget(images, minutes * 60), watch)
    watch.look(_CARD)
    save_model(out / "model.safetensors", watch.spec(), run.ema.denoiser)


class Watch:
    """Reports on a run while it goes: a line of numbers, a checkpoint, a sheet of samples."""

    def __init__(
        self, run: Run, examples: Examples, tested: Examples, about: About, out: Path
    ) -> None:
        self._run, self._examples, self._tested = run, examples, tested
        self._about, self._out = about, out
        self._flops = flops(run.ema.denoiser, examples.images.shape[1])
        self._loss, self._looked = math.nan, monotonic()

    def __call__(self, loss: float) -> None:
        step = self._run.progress.step
        self._loss = loss if math.isnan(self._loss) else 0.98 * self._loss + 0.02 * loss
        if step % _LOG_STEPS == 0:
            self._report("step", loss=round(self._loss, 4))
        if monotonic() - self._looked > _LOOK_SECONDS:
            self.look()

    def look(self, count: int = _GLANCE) -> None:
        """Write the checkpoint and a sheet, and measure on what is held out."""
        self._run.save(self._out / "checkpoint.safetensors")
        model = Model(self.spec(), self._run.ema.denoiser, "0" * 64, torch.device("cpu"))
        note = f"{self._run.images:,} images seen"
        path = self._out / f"sheet-{self._run.progress.step:06d}.png"
        draw(self._about.title, note, rows(model, count)).save(path)
        tested = held_out_loss(self._run.ema.denoiser, self._tested)
        self._report("look", sheet=path.name, held_out_loss=tested)
        self._looked = monotonic()

    def spec(self) -> ModelSpec:
        examples, about, progress = self._examples, self._about, self._run.progress
        return ModelSpec(
            name=about.name, title=about.title, licence=about.licence, data=about.data,
            size=examples.images.shape[1], channels=4,
            classes=examples.classes, words=examples.vocabulary,
            sigma_min=SIGMA_MIN, sigma_max=SIGMA_MAX, sigma_data=SIGMA_DATA,
            unet=describe(self._run.ema.denoiser.unet.config), flops=self._flops,
            trained=f"{self._run.images:,} images in {progress.seconds / 60:.0f} minutes",
            defaults=DEFAULTS,
        )  # fmt: skip

    def _report(self, event: str, **fields: object) -> None:
        progress = self._run.progress
        rate = self._run.images / max(progress.seconds, 1e-9)
        line = {"event": event, "step": progress.step, "images": self._run.images, **fields}
        sys.stdout.write(json.dumps({**line, "images_per_second": round(rate, 1)}) + "\n")
        sys.stdout.flush()


def flops(denoiser: Preconditioned, size: int) -> int:
    """Floating point operations of one evaluation of one sprite, two for a multiply-add."""
    config = denoiser.unet.config
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        x = torch.zeros(1, config.channels, size, size)
        denoiser(x, torch.ones(1), torch.zeros(1, config.context))
    return int(counter.get_total_flops())


def rows(model: Model, count: int) -> list[Row]:
    """The first `count` sprites of each class, by the defaults and seed 0: none picked by hand."""
    spec, tile = model.spec, tile_size(model.device)
    names = [(name, index) for name in spec.classes for index in range(count)]
    sampling = Sampling(**spec.defaults.model_dump())
    contexts = np.zeros((len(names), spec.context_length), dtype=np.float32)
    contexts[np.arange(len(names)), np.arange(len(names)) // count] = 1
    keys = [noise_key(0, name, index) for name, index in names]
    sprites = np.concatenate(
        [
            render_tile(
                model, contexts[start : start + tile], None, keys[start : start + tile],
                sampling, on_step=lambda _: None,
            )
            for start in range(0, len(names), tile)
        ]
    )  # fmt: skip
    return [
        (name, list(sprites[i * count : (i + 1) * count])) for i, name in enumerate(spec.classes)
    ]


if __name__ == "__main__":
    try:
        typer.run(main)
    except SpritemillError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
