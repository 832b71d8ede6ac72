"""What training teaches to undo, as a picture: sprites in noise that grows until it is all."""

from collections.abc import Sequence

import torch
from PIL import Image

from core.diffusion.noise import muted
from core.sprites.alpha import to_rgba
from core.sprites.sheet import Row
from core.sprites.sheet import draw as draw_sheet
from core.training.examples import NO_CLASS, Examples
from core.training.pixels import signal
from core.weights.spec import ModelSpec

_ROWS = 6


def draw(spec: ModelSpec, examples: Examples, sigmas: Sequence[float]) -> Image.Image:
    """Sprites, evenly taken from all, in a model's noise of levels `sigmas`, at unit power."""
    count = min(_ROWS, len(examples.images))
    rows = [i * len(examples.images) // count for i in range(count)]
    clean = signal(torch.from_numpy(examples.images[rows]), spec.channels)
    noise = muted(torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)), spec.chroma)
    stages = [(clean + s * noise) / (1 + s**2) ** 0.5 for s in (0.0, *sigmas)]
    pictures = [to_rgba(stage.numpy(), "soft") for stage in stages]
    sheet: list[Row] = [
        (_name(examples, row), [picture[number] for picture in pictures])
        for number, row in enumerate(rows)
    ]
    levels = ", ".join(f"{sigma:.2g}" for sigma in sigmas)
    return draw_sheet(spec.title, f"noise over signal: 0, {levels}", sheet)


def _name(examples: Examples, row: int) -> str:
    label = examples.labels[row]
    return f"sprite {row}" if label == NO_CLASS else examples.classes[label]
