"""Real sprites to compare with: those a model learnt from, and those it never saw."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import UsageError
from core.evaluation.encoder import SIZE
from core.evaluation.neighbours import Neighbours, prints
from core.evaluation.options import RecipeName
from core.sprites.alpha import to_rgba
from core.training import sources
from core.training.dataset import TABLE, read, table
from core.training.examples import Examples
from core.training.fitting import fit, load
from core.training.pixels import signal
from core.training.recipe import DUNGEON, Recipe
from core.training.split import bounded, split

UNSEEN = 0.1
"""The share of the collection that the bundled encoder was not trained on.

With the same seed, a model's smaller share lies within it.
"""


@dataclass(frozen=True, slots=True)
class Plain:
    """No recipe: anything that can be trained on, in squares of `size` pixels; `classes` name those
    that arrays only number.
    """

    size: int = SIZE
    classes: Sequence[str] = ()


def parts(
    folder: Path, recipe: Recipe | Plain, share: float, seed: int = 0
) -> tuple[Examples, Examples]:
    """The sprites to learn from, and about `share` of them that are held out. Raises UsageError.

    Composed sprites are never held out by the split: as many new ones, composed with another seed
    and equal to none that is learnt from, stand for them. Their words are left out.
    """
    if isinstance(recipe, Plain):
        found = sources.read(folder, recipe.size, recipe.classes)
        return split(found, bounded(share, len(found.images)), seed)
    found = read(folder, recipe, seed)
    learnt, held = split(found, bounded(share, len(found.images)), seed)
    count = int(share * learnt.composed.sum())
    return learnt, joined(held, _composed(folder, recipe, learnt, count, seed + 1))


def recipe_of(folder: Path, name: RecipeName, size: int) -> Recipe | None:
    """The recipe by its name; `auto` finds the dungeon's by its categories. None is plain.

    Raises UsageError for sprites of a size that the recipe is not for.
    """
    if name == "auto":
        wanted = {category for many in DUNGEON.classes.values() for category in many}
        return DUNGEON if size == DUNGEON.size and wanted <= categories(folder) else None
    if name == "dungeon" and size != DUNGEON.size:
        raise UsageError(
            f"recipe = dungeon: it is for sprites of {DUNGEON.size} pixels, not {size}.",
            remedy="Leave it out.",
        )
    return DUNGEON if name == "dungeon" else None


def shown_as(images: NDArray[np.uint8], examples: Examples) -> Examples:
    """Real sprites as sprites [N, H, W, 4] are shown: on black where none of those has a clear
    pixel, and in grey where they have no colours either.
    """
    if not (images[..., 3] == 255).all():
        return examples
    count = 1 if (images[..., :3] == images[..., :1]).all() else 3
    drawn = signal(torch.from_numpy(examples.images), count)
    return replace(examples, images=to_rgba(drawn.numpy(), "opaque"))


def joined(first: Examples, second: Examples) -> Examples:
    """Both, where they have the same classes. Raises ValueError where not."""
    if first.classes != second.classes:
        raise ValueError(f"{first.classes} and {second.classes} are not the same classes")
    return replace(
        first,
        images=np.concatenate([first.images, second.images]),
        labels=np.concatenate([first.labels, second.labels]),
        words=first.words + second.words,
        composed=np.concatenate([first.composed, second.composed]),
    )


def named(folder: Path, examples: Examples) -> list[str]:
    """The PNG file that each sprite comes from, below `folder`; of composed ones, nothing."""
    files = dict[bytes, str]()
    for path in sorted(folder.rglob("*.png")):
        with suppress(UsageError):  # a file beside those that were trained on may be anything
            image = fit(load(path), examples.images.shape[1])
            files[image.tobytes()] = path.relative_to(folder).as_posix()
    return [
        "" if composed else files.get(image.tobytes(), "")
        for image, composed in zip(examples.images, examples.composed, strict=True)
    ]


def categories(folder: Path) -> set[str]:
    """The categories that a folder's table names, if it has one. Raises UsageError."""
    if not (folder / TABLE).is_file():
        return set()
    return {row.get("category") or "" for row in table(folder)}


def _composed(folder: Path, recipe: Recipe, learnt: Examples, count: int, seed: int) -> Examples:
    """About `count` composed sprites that are not among those to learn from."""
    if not count:
        return learnt.take(np.zeros(0, dtype=np.int64))
    fresh = read(folder, replace(recipe, dolls=count), seed)
    fresh = fresh.take(np.flatnonzero(fresh.composed))
    known = Neighbours(prints(learnt.images[learnt.composed]), (), ())
    distances, _ = known.nearest(fresh.images)
    kept = fresh.take(np.flatnonzero(distances > 0))
    return replace(kept, words=((),) * len(kept.images), vocabulary=learnt.vocabulary)
