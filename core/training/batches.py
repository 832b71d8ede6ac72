"""What a training step sees: sprites and contexts, a function of the seed and the step alone."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.sprites.alpha import from_rgba
from core.training.dataset import Examples

_NOTHING, _CLASS, _CLASS_ALL, _CLASS_SOME = 0.1, 0.4, 0.6, 0.8
"""Chances, cumulative: no context; the class; it with all words, with some; else some words."""

_WORD = 0.6
_MOST_COUNTED = 1500


@dataclass(frozen=True, slots=True)
class Batch:
    """Clean images [B, 4, H, W] in [-1, 1] and contexts [B, K]."""

    images: Tensor
    contexts: Tensor


class Batches:
    """Draws batches: classes by the square root of their size, sprites evenly within a class."""

    def __init__(
        self, examples: Examples, size: int, seed: int, mirrored: frozenset[str] = frozenset()
    ) -> None:
        self._examples = examples
        self._size = size
        self._seed = seed
        self._members = [
            np.flatnonzero(examples.labels == label) for label in range(len(examples.classes))
        ]
        counted = [min(len(rows), _MOST_COUNTED) for rows in self._members]
        self._chances = np.sqrt(counted) / np.sqrt(counted).sum()
        self._mirrored = np.array([name in mirrored for name in examples.classes])

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        draw = np.random.default_rng([self._seed, step])
        labels = draw.choice(len(self._members), self._size, p=self._chances)
        rows = np.array([draw.choice(self._members[label]) for label in labels])
        images = from_rgba(self._examples.images[rows])
        flipped = self._mirrored[labels] & (draw.random(self._size) < 0.5)
        images[flipped] = images[flipped, :, :, ::-1]
        contexts = np.stack([self._context(int(row), draw) for row in rows])
        tensor = torch.from_numpy(images).contiguous(memory_format=torch.channels_last)
        return Batch(tensor, torch.from_numpy(contexts))

    def _context(self, row: int, draw: np.random.Generator) -> NDArray[np.float32]:
        """A sprite's context, with random parts of what is known of it left out."""
        chance = draw.random()
        words = self._examples.words[row]
        if chance < _CLASS:
            words = ()
        elif chance >= _CLASS_ALL:
            words = tuple(word for word in words if draw.random() < _WORD)
        named = chance >= _NOTHING and (chance < _CLASS_SOME or not words)
        return context(self._examples, row, words, named=named)


def context(
    examples: Examples, row: int, words: tuple[int, ...], *, named: bool
) -> NDArray[np.float32]:
    """The context vector [K] of a sprite with these words, and its class if it is `named`."""
    vector = np.zeros(len(examples.classes) + len(examples.vocabulary), dtype=np.float32)
    if named:
        vector[examples.labels[row]] = 1
    if words:
        vector[len(examples.classes) + np.array(words)] = 1 / math.sqrt(len(words))
    return vector
