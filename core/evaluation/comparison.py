"""Samples beside real sprites: every measure, over all and by class."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.evaluation.encoder import Encoder
from core.evaluation.measures import (
    Copies,
    Evaluation,
    Group,
    Measures,
    Traits,
    agreeing,
    likeness,
    look,
    matched,
    traits,
)
from core.evaluation.memorisation import distinct, in_turn, near_duplicates, thresholds
from core.evaluation.neighbours import Neighbours, fine_prints
from core.training.examples import NO_CLASS, Examples

Gaps = tuple[NDArray[np.float32], NDArray[np.str_]]
"""How far sprites [N] are from the nearest to learn from, relatively, and their classes [N]."""


class Comparison:
    """The real side, looked at once.

    `training` is what a model learnt from and `held_out` what it never saw. What the encoder never
    saw, `unseen`, tells how often its class is right: one that it has learnt would flatter.
    """

    def __init__(
        self, encoder: Encoder, training: Examples, held_out: Examples, unseen: Examples
    ) -> None:
        self._encoder = encoder
        self._training, self._held_out, self._unseen = (
            look(encoder, part.images, names(part)) for part in (training, held_out, unseen)
        )
        self._neighbours = Neighbours(fine_prints(training.images), (), ())
        self._distinct = distinct(training)
        self._gaps = self._neighbours.relatively(held_out.images, self._distinct)[0]
        gaps, rows = in_turn(training)
        self._spaces = (
            np.concatenate([self._gaps, gaps]),
            np.concatenate([self._held_out.classes, self._training.classes[rows]]),
        )

    def __call__(self, images: NDArray[np.uint8], classes: Sequence[str]) -> Evaluation:
        """Measure sprites [N, S, S, 4], at least one, each asked for as a class (or "")."""
        samples = look(self._encoder, images, np.array(classes, dtype=np.str_))
        distances, nearest = self._neighbours.relatively(images, self._distinct)
        held = (self._gaps, self._held_out.classes)
        copies = _Copying(held, self._spaces, samples, distances)
        asked = sorted(set(classes) - {""})
        return Evaluation(
            overall=self._measures(samples, asked or None, copies),
            of_class={name: self._measures(samples.of(name), [name], copies) for name in asked},
            distances=distances,
            nearest=nearest,
        )

    def _measures(
        self, samples: Group, asked: Sequence[str] | None, copies: "_Copying"
    ) -> Measures:
        """Measures of samples beside the real sprites of the classes that were `asked` for."""
        training, held_out, unseen = (
            group if asked is None else group.of(*asked)
            for group in (self._training, self._held_out, self._unseen)
        )
        mine, held, theirs = matched(samples, held_out, training)
        some, learnt = matched(samples, training)
        return Measures(
            samples=self._traits(samples),
            training=self._traits(training),
            unseen=self._traits(unseen),
            agreement_ratio=self._ratio(samples, unseen),
            to_held_out=likeness(mine, held),
            to_training=likeness(some, learnt),
            training_to_held_out=likeness(theirs, held),
            copies=copies.of(asked, samples.classes),
        )

    def _ratio(self, samples: Group, unseen: Group) -> float | None:
        """Agreement of samples over that of unseen sprites, each class weighing as in samples."""
        classes = self._encoder.classes
        shared = np.intersect1d(samples.classes, unseen.classes)
        right = agreeing(samples.of(*shared), classes).sum()
        expected = sum(
            (samples.classes == name).sum() * agreeing(unseen.of(name), classes).mean()
            for name in shared
        )
        return float(right / expected) if expected else None

    def _traits(self, group: Group) -> Traits | None:
        return traits(group, self._encoder.classes) if len(group) else None


class _Copying:
    """Which samples are too near to training sprites or to each other, and which real ones are."""

    def __init__(
        self,
        held: Gaps,
        spaces: Gaps,
        samples: Group,
        distances: NDArray[np.float32],
    ) -> None:
        """`held` is of held-out sprites, `spaces` also of those that were held out in turn."""
        gaps, held_out = held
        self._held_out, self._classes, self._distances = held_out, samples.classes, distances
        self._alike = near_duplicates(samples.images)
        self._limits: dict[str, float] = {}
        if len(spaces[0]):
            both = np.union1d(held_out, samples.classes)
            self._limits = thresholds(*spaces, both.tolist())
        self._near = distances < self._limit(samples.classes)
        self._real = gaps < self._limit(held_out)

    def _limit(self, classes: NDArray[np.str_]) -> NDArray[np.float64]:
        return np.array([self._limits.get(name, 0.0) for name in classes])

    def of(self, asked: Sequence[str] | None, classes: NDArray[np.str_]) -> Copies:
        """Of the samples of these `classes`, beside real sprites of those that were asked for."""
        mine = np.isin(self._classes, classes)
        real = np.isin(self._held_out, asked) if asked else np.ones(len(self._held_out), dtype=bool)
        return Copies(
            threshold=self._limits.get(asked[0]) if asked and len(asked) == 1 else None,
            memorised=float(self._near[mine].mean()) if self._limits else None,
            held_out_memorised=float(self._real[real].mean()) if real.any() else None,
            median_distance=float(np.median(self._distances[mine])),
            near_duplicates=float(self._alike[mine].mean()),
        )


def names(examples: Examples) -> NDArray[np.str_]:
    """The class of each sprite [N], "" of those that have none."""
    known = np.array([*examples.classes, ""], dtype=np.str_)
    return known[np.where(examples.labels == NO_CLASS, len(examples.classes), examples.labels)]
