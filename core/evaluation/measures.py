"""What is measured of a group of sprites, alone and beside another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.distances import Interval, frechet, kernel_distance, mean_distance
from core.evaluation.encoder import Encoded, Encoder
from core.evaluation.manifold import NEIGHBOURS, Manifold, compare
from core.sprites import quality

LEAST = 4 * NEIGHBOURS
"""Sets of fewer sprites are not compared."""
MOST = 2000
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Group:
    """Sprites `images` [N, S, S, 4], the class of each (or "", `classes` [N]), what is seen.

    `sound` [N] and `colours` [N] are of the pixels alone.
    """

    images: NDArray[np.uint8]
    classes: NDArray[np.str_]
    encoded: Encoded
    sound: NDArray[np.bool_]
    colours: NDArray[np.int64]

    def of(self, *names: str) -> "Group":
        """The sprites of some classes."""
        return self.take(np.flatnonzero(np.isin(self.classes, names)))

    def take(self, rows: NDArray[np.int64]) -> "Group":
        seen = Encoded(self.encoded.features[rows], self.encoded.probabilities[rows])
        return Group(
            self.images[rows], self.classes[rows], seen, self.sound[rows], self.colours[rows]
        )

    def __len__(self) -> int:
        return len(self.images)


def look(encoder: Encoder, images: NDArray[np.uint8], classes: NDArray[np.str_]) -> Group:
    """A group of sprites, each looked at once."""
    sound, colours = np.zeros(len(images), dtype=bool), np.zeros(len(images), dtype=np.int64)
    for start in range(0, len(images), _BLOCK):
        rows = slice(start, start + _BLOCK)
        sound[rows] = quality.sound(images[rows], quality.wholeness(images[rows]))
        colours[rows] = quality.colours(images[rows])
    return Group(images, classes, encoder(images), sound, colours)


@dataclass(frozen=True, slots=True)
class Likeness:
    """One group beside another: as many of each, `sprites`, and as many of each class."""

    sprites: int
    frechet: float
    kernel: Interval
    manifold: Manifold


@dataclass(frozen=True, slots=True)
class Traits:
    """What a group is like by itself. `agreement` is with the class that the encoder sees."""

    sprites: int
    agreement: float | None
    diversity: float | None
    binary_alpha: float
    sound: float
    colours: float


@dataclass(frozen=True, slots=True)
class Copies:
    """`memorised`: the share nearer to a training sprite than `threshold` (each class has its own);
    and the same of held-out sprites. `near_duplicates`: the share that have another like them.

    Distances are relative to those of the 50 nearest training sprites.
    """

    threshold: float | None
    memorised: float | None
    held_out_memorised: float | None
    median_distance: float
    near_duplicates: float


@dataclass(frozen=True, slots=True)
class Measures:
    """Samples, over all or of a class. None stands where there are too few sprites to tell.

    `to_held_out` and `training_to_held_out` are of the same counts. `agreement_ratio` is that of
    the samples over that of as many real sprites of each class that the encoder never learnt.
    """

    samples: Traits | None
    training: Traits | None
    unseen: Traits | None
    agreement_ratio: float | None
    to_held_out: Likeness | None
    to_training: Likeness | None
    training_to_held_out: Likeness | None
    copies: Copies


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`nearest` [N] is each sample's nearest training sprite, `distances` [N] how far it is for one
    among the 50 nearest.
    """

    overall: Measures
    of_class: Mapping[str, Measures]
    distances: NDArray[np.float32]
    nearest: NDArray[np.int64]


def traits(group: Group, classes: Sequence[str]) -> Traits:
    """What a group that is not empty is like; `classes` are the encoder's."""
    known = np.isin(group.classes, classes)
    alpha = group.images[..., 3]
    return Traits(
        sprites=len(group),
        agreement=float(agreeing(group, classes)[known].mean()) if known.any() else None,
        diversity=mean_distance(group.encoded.features) if len(group) > 1 else None,
        binary_alpha=float(((alpha == 0) | (alpha == 255)).all(axis=(1, 2)).mean()),
        sound=float(group.sound.mean()),
        colours=float(np.median(group.colours)),
    )


def agreeing(group: Group, classes: Sequence[str]) -> NDArray[np.bool_]:
    """Which sprites [N] the encoder sees as what they are; `classes` are the encoder's."""
    seen = np.array(classes)[group.encoded.probabilities.argmax(axis=1)]
    same: NDArray[np.bool_] = seen == group.classes
    return same


def likeness(samples: Group, real: Group, seed: int = 0) -> Likeness | None:
    """How like real sprites samples are, both of equal counts. None of fewer than LEAST."""
    if len(samples) < LEAST:
        return None
    x, y = samples.encoded.features, real.encoded.features
    return Likeness(len(x), frechet(x, y), kernel_distance(x, y, seed), compare(y, x))


def matched(*groups: Group, seed: int = 0, most: int = MOST) -> list[Group]:
    """Of each group as many sprites of each class, drawn at random, in all about `most`.

    Where a group names no class at all, classes do not count.
    """
    sides = [group.classes for group in groups]
    if not all(side.astype(bool).any() for side in sides):
        sides = [np.zeros_like(side) for side in sides]
    names = sorted(set.intersection(*(set(side.tolist()) for side in sides)))
    counts = {name: min(int((side == name).sum()) for side in sides) for name in names}
    share = min(1.0, most / max(1, sum(counts.values())))
    draw = np.random.default_rng(seed)
    found = []
    for group, side in zip(groups, sides, strict=True):
        rows = [
            draw.choice(np.flatnonzero(side == name), int(share * count), replace=False)
            for name, count in counts.items()
        ]
        found.append(group.take(np.concatenate([*rows, np.zeros(0, dtype=np.int64)])))
    return found
