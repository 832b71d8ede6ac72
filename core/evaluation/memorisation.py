"""Copies: samples too near to a training sprite, and samples too near to each other."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from core.evaluation.neighbours import Neighbours, fine_prints
from core.sprites.duplicates import find_near_duplicates
from core.training import split
from core.training.examples import Examples

QUANTILE = 0.01
LEAST_HELD_OUT = 100
"""Classes with fewer held-out sprites share one threshold."""

_TURNS = 10
_MOST_GROUPS = 5000
"""Of larger collections no more are held out in turn: the 1 % quantile is known by then."""


def in_turn(examples: Examples) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """How far sprites are from all others, relatively, when a tenth of them is held out, then the
    next; and their rows.

    Held out as `split` does it: with their near-duplicates, of which one is measured, and none that
    has a look-alike left. Composed sprites neither are held out nor stay.
    """
    given = np.flatnonzero(~examples.composed)
    images = examples.images[given]
    groups = split.near_duplicates(images, skip=np.zeros(len(images), dtype=bool))
    firsts = np.array([group[0] for group in groups], dtype=np.int64)
    order = np.random.default_rng(0).permutation(len(groups))[:_MOST_GROUPS]
    gaps, rows = [np.zeros(0, dtype=np.float32)], [np.zeros(0, dtype=np.int64)]
    for turn in np.array_split(order, _TURNS):
        gone = [row for group in turn for row in groups[group]]
        held = firsts[turn]
        left = np.delete(images, gone, axis=0)
        if len(held) and len(left):
            held = held[~split.look_alikes(images[held], left)]
            whole = Neighbours(fine_prints(left), (), ())
            stay = np.isin(np.delete(np.arange(len(images)), gone), firsts)
            gaps.append(whole.relatively(images[held], np.flatnonzero(stay))[0])
            rows.append(given[held])
    return np.concatenate(gaps), np.concatenate(rows)


def distinct(examples: Examples) -> NDArray[np.int64]:
    """The rows of one sprite of each group of near-duplicates, and of all composed ones."""
    groups = split.near_duplicates(examples.images, skip=examples.composed)
    firsts = np.array([group[0] for group in groups], dtype=np.int64)
    return np.concatenate([firsts, np.flatnonzero(examples.composed)])


def thresholds(
    distances: NDArray[np.float32], classes: NDArray[np.str_], wanted: Sequence[str]
) -> dict[str, float]:
    """By class, the distance to the nearest other sprite that 99% of held-out sprites exceed.

    `distances` and `classes` [N] are those of held-out sprites, N at least 1. Classes without
    enough of their own take what they have together.
    """
    many = {
        name
        for name, count in zip(*np.unique(classes, return_counts=True), strict=True)
        if count >= LEAST_HELD_OUT
    }
    few = ~np.isin(classes, sorted(many))
    shared = distances[few] if few.any() else distances
    return {
        name: float(np.quantile(distances[classes == name] if name in many else shared, QUANTILE))
        for name in wanted
    }


def near_duplicates(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of images [N, S, S, 4] have another like them, mirrored or not."""
    found = np.zeros(len(images), dtype=bool)
    for group in find_near_duplicates(chain(images, images[:, :, ::-1])):
        places = {place % len(images) for place in group}
        if len(places) > 1:  # a symmetric sprite is its own mirror image
            found[sorted(places)] = True
    return found
