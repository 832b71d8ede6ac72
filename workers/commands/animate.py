"""Film the denoising: `python -m workers.commands.animate SHA256 < asked`; the file to stdout.

Asked is JSON: the `request`'s text and the fields of `Asked`.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import settings, storage
from core.diffusion.film import Film, Show
from core.errors import SpritemillError
from core.request import load
from core.request.plan import Plan
from core.settings import Settings
from core.sprites.animation import Kind, animate, arrange
from workers import renderer
from workers.model_cache import ModelCache
from workers.render import Unwatched, finishing, tiles

Images = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Asked:
    """At most `sprites` of them, after each of `frames` steps."""

    sprites: int
    frames: list[int]
    show: Show
    kind: Kind
    scale: int
    columns: int


def film(plan: Plan, asked: Asked, file: Path, read: Settings) -> bytes:
    """The file of the animation."""
    watcher = Film(asked.show, plan.request.pixels.alpha or "binary")
    drawing = renderer.load(file, read, watcher.watching)
    finished = finishing(plan, drawing, Unwatched())
    watcher.reels.clear()  # finishing may have drawn
    samples = list(plan.spread(asked.sprites))
    made = [images for _, images in tiles(plan, samples, drawing, Unwatched())]
    steps = plan.request.sampling.steps or 1
    frames = [
        np.concatenate(
            [
                _frame(reel, images, number - steps, asked.show, finished)
                for reel, images in zip(watcher.reels, made, strict=True)
            ]
        )
        for number in asked.frames
    ]
    return animate([arrange(each, asked.columns) for each in frames], asked.kind, asked.scale)


def _frame(
    reel: list[Images], made: Images, place: int, show: Show, finished: Callable[[Images], Images]
) -> Images:
    """A tile `-place` steps before its end; who starts later waits."""
    if place == 0:
        return finished(made)
    shot = reel[max(place, -len(reel))][: len(made)]
    return finished(shot) if show == "guess" else shot


def main(sha256: str) -> None:
    read = settings.load()
    models = ModelCache(read, storage.connect(read))
    given = json.load(sys.stdin)
    plan = Plan(load.parse(given.pop("request")), models.spec(sha256))
    sys.stdout.buffer.write(film(plan, Asked(**given), models.file(sha256), read))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except SpritemillError as error:
        sys.exit(str(error))
