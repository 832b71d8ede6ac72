"""How the encoder learns: the class, the caption's words and the grain of sprites varied anew.

The words keep colours and things in the features, the grain keeps what a denoiser leaves behind.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.evaluation.encoder import FEATURES, Network
from core.sprites.alpha import from_rgba
from core.training.augment import mirror, shift
from core.training.examples import Examples

_BATCH = 64
_RATE, _WEIGHT_DECAY, _WARM_UP = 2e-3, 0.05, 0.1
_SMOOTHING = 0.1
_WORDS = 20.0
"""Weight of the words' loss, a mean over a vocabulary of which a sprite has few."""
_MOST_COUNTED = 1500
_SHIFT, _HOLE = 2, 8
_HUE, _LIGHT, _GRAIN = 0.15, 0.1, 0.12

OnStep = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learnt from: classes are drawn by the square root of their size."""

    examples: Examples
    seed: int = 0

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Images [B, 4, H, W], labels [B], words and grain [B, W + 1]: a function of the seed."""
        draw = np.random.default_rng([self.seed, step])
        rows = draw.choice(len(self.examples.labels), _BATCH, p=self._chances())
        generator = torch.Generator().manual_seed(int(draw.integers(2**62)))
        words = np.zeros((_BATCH, len(self.examples.vocabulary)), dtype=np.float32)
        for place, row in enumerate(rows):
            words[place, list(self.examples.words[row])] = 1
        grain = _uniform(_BATCH, generator) * (_uniform(_BATCH, generator) < 0.5)
        images = varied(self.examples.images[rows], grain * _GRAIN, generator)
        told = torch.cat([torch.from_numpy(words), grain[:, None]], dim=1)
        return images, torch.from_numpy(self.examples.labels[rows]), told

    def _chances(self) -> NDArray[np.float64]:
        labels = self.examples.labels
        sizes = np.bincount(labels, minlength=len(self.examples.classes))
        chances = np.sqrt(np.minimum(sizes, _MOST_COUNTED))[labels] / sizes[labels]
        shares: NDArray[np.float64] = chances / chances.sum()
        return shares


def learn(examples: Examples, images: int, seed: int, on_step: OnStep) -> Network:
    """A network that was shown `images` sprites; `on_step` hears each step and its loss."""
    torch.manual_seed(seed)
    network = Network(len(examples.classes)).train()
    teller = nn.Linear(FEATURES, len(examples.vocabulary) + 1)
    parameters = [*network.parameters(), *teller.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=_WEIGHT_DECAY)
    lessons, steps = Lessons(examples, seed), max(1, images // _BATCH)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * _shape(step / steps)
        pictures, labels, told = lessons.batch(step)
        features, logits = network(pictures)
        loss = functional.cross_entropy(logits, labels, label_smoothing=_SMOOTHING)
        chances = functional.binary_cross_entropy_with_logits(
            teller(features), told, reduction="none"
        )
        optimizer.zero_grad(set_to_none=True)
        whole = loss + _WORDS * chances[:, :-1].mean() + chances[:, -1].mean()
        whole.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        on_step(step, float(loss.detach()))
    return network.eval()


def _shape(spent: float) -> float:
    """The learning rate's rise and fall over the share of steps that is done."""
    if spent < _WARM_UP:
        return spent / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (spent - _WARM_UP) / (1 - _WARM_UP)))


def varied(rgba: NDArray[np.uint8], grain: Tensor, generator: torch.Generator) -> Tensor:
    """Sprites [B, H, W, 4] mirrored, moved, in somewhat other colours, and with a hole.

    Their colours have noise of the deviation `grain` [B]. Premultiplied, [B, 4, H, W] in [-1, 1].
    """
    count = len(rgba)
    pixels = mirror(torch.from_numpy(rgba), _uniform(count, generator) < 0.5)
    down, right = (
        torch.randint(-_SHIFT, _SHIFT + 1, (count,), generator=generator) for _ in range(2)
    )
    images = torch.from_numpy(from_rgba(shift(pixels, down, right).numpy()))
    colour, cover = images[:, :3] * 0.5 + 0.5, images[:, 3:] * 0.5 + 0.5
    colour = torch.einsum("bij,bjhw->bihw", _hues(count, generator), colour)
    noise = torch.randn(colour.shape, generator=generator) * grain[:, None, None, None]
    colour = torch.minimum((colour + noise * cover).clamp(min=0), cover)
    seen = ~_holes(count, rgba.shape[1], generator)
    return torch.cat([colour, cover], dim=1) * seen * 2 - 1


def _hues(count: int, generator: torch.Generator) -> Tensor:
    """Matrices [B, 3, 3] that turn colours about the axis of greys and change their brightness."""
    angle = torch.randn(count, generator=generator) * _HUE
    light = 1 + torch.randn(count, generator=generator) * _LIGHT
    axis = torch.full((3,), 1 / math.sqrt(3))
    cross = torch.linalg.cross(torch.eye(3), axis.expand(3, 3), dim=1)
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    turn: Tensor = cosine * torch.eye(3) + sine * cross + (1 - cosine) * torch.outer(axis, axis)
    matrices: Tensor = turn * light[:, None, None]
    return matrices


def _holes(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Masks [B, 1, H, W] of a square in half of the pictures."""
    place = torch.arange(size)
    top, left = (torch.randint(0, size, (count, 1), generator=generator) for _ in range(2))
    rows = (place >= top - _HOLE // 2) & (place < top + _HOLE // 2)
    columns = (place >= left - _HOLE // 2) & (place < left + _HOLE // 2)
    holed = _uniform(count, generator) < 0.5
    return (rows[:, :, None] & columns[:, None, :] & holed[:, None, None])[:, None]


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator)
