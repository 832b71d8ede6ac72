"""What a training step sees: sprites and contexts, a function of the seed and the step alone.

All of it lies on the device and is drawn there: a step waits for nothing of the host's.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.training import augment
from core.training.examples import NO_CLASS, Examples
from core.training.pixels import signal
from core.training.recipe import Augment

_NOTHING, _CLASS, _CLASS_ALL, _CLASS_SOME = 0.1, 0.25, 0.4, 0.8
"""Chances, cumulative: no context; the class; it with all words, with some; else some words."""

_LEAST_RARITY, _MOST_RARITY = 0.5, 3.0

_SPREAD = 0x9E3779B1  # odd, so that no two seeds below 2^32 begin alike
_NO_SHARES: Mapping[str, float] = MappingProxyType({})
_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Batch:
    """Clean images [B, C, H, W] in [-1, 1] and contexts [B, K]."""

    images: Tensor
    contexts: Tensor


def stream(seed: int, number: int) -> int:
    """What seeds the generator of a stream of draws: of the 32 bits that torch heeds on a CPU."""
    return (seed * _SPREAD + number) % 2**32


class Batches:
    """Draws batches: classes by a power of their size (0.5, or 1 for every sprite alike), but for
    those whose `shares` are given.
    """

    def __init__(
        self, examples: Examples, size: int, seed: int, *, varied: Augment | None = None,
        channels: int = 4, balance: float = 0.5, shares: Mapping[str, float] = _NO_SHARES,
        device: torch.device = _CPU,
    ) -> None:  # fmt: skip
        self._size, self._seed, self._channels, self._device = size, seed, channels, device
        self._varied = varied or Augment()
        self._classes, self._length = len(examples.classes), examples.context_length
        kinds, kind, sizes = np.unique(examples.labels, return_inverse=True, return_counts=True)
        names = [examples.classes[k] if k != NO_CLASS else "" for k in kinds]
        chances = _chances(names, sizes**balance, shares)
        mirrored, turned, rolled = (
            np.array([name in chosen for name in names], dtype=bool)[kind]
            for chosen in (self._varied.mirrored, self._varied.turned, self._varied.rolled)
        )
        room = augment.room(examples.images)
        room[turned] = room[turned].min(axis=1, keepdims=True)
        room[mirrored, 2:] = room[mirrored, 2:].min(axis=1, keepdims=True)
        self._mirrored, self._turned, self._rolled, self._room = map(
            self._put, (mirrored, turned, rolled, room)
        )
        self._images = self._put(examples.images)
        self._labels = self._put(examples.labels)
        self._cumulative = self._put(chances.cumsum())
        self._order = self._put(np.argsort(kind, kind="stable"))
        self._starts, self._counts = self._put(sizes.cumsum() - sizes), self._put(sizes)
        self._words, self._orders = self._put(_padded(examples)), self._put(augment.ORDERS)
        self._rarity = self._put(_rarity(examples))
        self._colours = self._put(np.append(augment.colour_words(examples.vocabulary), False))

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        draw = torch.Generator(self._device).manual_seed(stream(self._seed, 2 * step))
        which = torch.searchsorted(self._cumulative, self._uniform(draw).double())
        which = which.clamp(max=len(self._counts) - 1)
        within = (self._uniform(draw).double() * self._counts[which]).long()
        rows = self._order[self._starts[which] + within]
        images, recoloured = self._vary(self._images[rows], rows, draw)
        return Batch(signal(images, self._channels), self._contexts(rows, recoloured, draw))

    def _vary(self, images: Tensor, rows: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """The sprites varied, and which of them have other colours."""
        images = augment.mirror(images, self._mirrored[rows] & (self._uniform(draw) < 0.5))
        if self._varied.turned:
            quarters = (self._uniform(draw) * 4).long().clamp(max=3)
            images = augment.turn(images, torch.where(self._turned[rows], quarters, 0))
        if self._varied.shift:
            up, down, left, right = self._room[rows].unbind(1)
            y, x = ((self._uniform(draw) * 3).long() - 1 for _ in range(2))
            images = augment.shift(images, y.clamp(-up, down), x.clamp(-left, right))
        if self._varied.rolled:
            ways = (self._uniform(draw) * images.shape[1] for _ in range(2))
            y, x = (torch.where(self._rolled[rows], way.long(), 0) for way in ways)
            images = augment.shift(images, y, x)
        recoloured = self._uniform(draw) < self._varied.recolour
        if self._varied.recolour:
            order = (self._uniform(draw) * 5).long().clamp(max=4) + 1
            images = augment.recolour(images, self._orders[torch.where(recoloured, order, 0)])
        return images, recoloured

    def _contexts(self, rows: Tensor, recoloured: Tensor, draw: torch.Generator) -> Tensor:
        """The sprites' contexts [B, K], with random parts of what is known left out."""
        chance, label, nowhere = self._uniform(draw), self._labels[rows], self._length
        words, kept = self._words[rows], self._kept(rows, chance, recoloured, draw)
        named = (chance >= _NOTHING) & ((chance < _CLASS_SOME) | ~kept.any(dim=1))
        classes = torch.where(named & (label != NO_CLASS), label, nowhere)[:, None]
        words = torch.where(kept, words + self._classes, nowhere)
        if self._varied.recolour:
            told = (recoloured & (chance >= _NOTHING))[:, None]
            words = torch.cat([words, torch.where(told, nowhere - 1, nowhere)], dim=1)
            kept = torch.cat([kept, told], dim=1)
        empty = torch.zeros(len(rows), nowhere + 1, device=self._device)
        loudness = kept.sum(dim=1, keepdim=True).clamp(min=1).rsqrt()
        contexts = empty.scatter(1, classes, 1.0) + empty.scatter(1, words, 1.0) * loudness
        return contexts[:, :nowhere]

    def _kept(
        self, rows: Tensor, chance: Tensor, recoloured: Tensor, draw: torch.Generator
    ) -> Tensor:
        """Which of the sprites' words [B, M] are told."""
        words, nameless = self._words[rows], self._labels[rows] == NO_CLASS
        true = ~(recoloured[:, None] & self._colours[words])
        known = true & (words < len(self._colours) - 1)
        rank = torch.rand(words.shape, generator=draw, device=self._device)
        rank = rank.pow(self._rarity[rows]).masked_fill(~known, 1.0)
        # requests name one word or many, but seldom all: one at least is told, and often no other
        share = self._uniform(draw)[:, None].pow(3).maximum(rank.amin(dim=1, keepdim=True))
        all_of_them = (chance < _CLASS_ALL)[:, None]
        told = chance >= torch.where(nameless, _NOTHING, _CLASS)
        return known & (all_of_them | (rank <= share)) & told[:, None]

    def _uniform(self, draw: torch.Generator) -> Tensor:
        return torch.rand(self._size, generator=draw, device=self._device)

    def _put(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def _chances(
    names: Sequence[str], weights: NDArray[np.floating], shares: Mapping[str, float]
) -> NDArray[np.float64]:
    """How often each class is drawn, [K]; the sum is 1."""
    given = np.array([shares.get(name, 0.0) for name in names])
    weights = np.where(given > 0, 0.0, weights)
    chances = given + weights / max(weights.sum(), 1e-9) * (1 - given.sum())
    return np.asarray(chances / chances.sum())


def context(
    examples: Examples, row: int, words: tuple[int, ...], *, named: bool
) -> NDArray[np.float32]:
    """The context vector [K] of a sprite with these words, and its class if it is `named`."""
    vector = np.zeros(examples.context_length, dtype=np.float32)
    if named and examples.labels[row] != NO_CLASS:
        vector[examples.labels[row]] = 1
    if words:
        vector[len(examples.classes) + np.array(words)] = 1 / math.sqrt(len(words))
    return vector


def _rarity(examples: Examples) -> NDArray[np.float32]:
    """By what power a draw brings each word of a sprite forward, [N, M]: rare ones are told before
    common ones, or next to nothing would be learnt of them. How many are told stays as it is.
    """
    words = _padded(examples)
    known = words < len(examples.vocabulary)
    uses = np.bincount(words.ravel(), minlength=len(examples.vocabulary) + 1)
    rarity = np.where(known, -0.5 * np.log(np.maximum(uses[words], 1)), 0.0)
    usual = rarity.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    powers = np.exp(rarity - usual).clip(_LEAST_RARITY, _MOST_RARITY)
    return np.where(known, powers, 1.0).astype(np.float32)


def _padded(examples: Examples) -> NDArray[np.int64]:
    """Each sprite's words, [N, M], filled up with one past the last word."""
    longest = max((1, *(len(words) for words in examples.words)))
    table = np.full((len(examples.words), longest), len(examples.vocabulary), dtype=np.int64)
    for row, words in enumerate(examples.words):
        table[row, : len(words)] = words
    return table
