"""Sprites to learn from, named: what every source of training data becomes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.training.recipe import Recipe

NO_CLASS = -1
"""The label of a sprite that has no class."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Sprites `images` [N, H, W, 4] uint8, each of a class (`labels` [N]) and with its words.

    `words[i]` are the places of sprite i's words in `vocabulary`; `composed` [N] tells the sprites
    that were put together from layers.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    words: tuple[tuple[int, ...], ...]
    composed: NDArray[np.bool_]
    classes: tuple[str, ...]
    vocabulary: tuple[str, ...]

    def take(self, rows: NDArray[np.int64]) -> "Examples":
        """Some of the sprites, with the same classes and vocabulary."""
        words = tuple(self.words[row] for row in rows)
        return Examples(
            self.images[rows], self.labels[rows], words, self.composed[rows],
            self.classes, self.vocabulary,
        )  # fmt: skip

    @property
    def context_length(self) -> int:
        return len(self.classes) + len(self.vocabulary)


@dataclass(frozen=True, slots=True)
class Found:
    """A sprite as its source has it: RGBA [H, W, 4], its class (or none, "") and its words."""

    image: NDArray[np.uint8]
    name: str
    words: Sequence[str]
    composed: bool = False


def gather(found: Sequence[Found], recipe: Recipe) -> Examples:
    """Words that are common enough to be learnt, and no class, make the vocabulary."""
    names = {one.name for one in found if one.name}
    classes = tuple(sorted(names, key=lambda name: (name != recipe.doll_class, name)))
    vocabulary = _vocabulary(found, recipe, names)
    label = {name: index for index, name in enumerate(classes)}
    place = {word: index for index, word in enumerate(vocabulary)}
    return Examples(
        images=np.stack([one.image for one in found]),
        labels=np.array([label.get(one.name, NO_CLASS) for one in found], dtype=np.int64),
        words=tuple(
            tuple(place[w] for w in dict.fromkeys(one.words) if w in place) for one in found
        ),
        composed=np.array([one.composed for one in found]),
        classes=classes,
        vocabulary=vocabulary,
    )


def _vocabulary(found: Sequence[Found], recipe: Recipe, classes: set[str]) -> tuple[str, ...]:
    uses = {made: Counter[str]() for made in (False, True)}
    for one in found:
        uses[one.composed].update(set(one.words))
    common = {word for word, count in uses[False].items() if count >= recipe.least_uses}
    common |= {word for word, count in uses[True].items() if count >= recipe.least_doll_uses}
    return tuple(sorted(word for word in common - classes if not word.isdigit()))
