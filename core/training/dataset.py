"""Sprites to learn from: read from a folder, named, and cut into a part to learn and one to test.

A folder holds `metadata.csv` with the columns file_name, category and caption, and the pictures.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.errors import UsageError
from core.request.contexts import tokens
from core.training.dolls import Layer, compose
from core.training.recipe import Recipe

_DOLL_CATEGORY = "player/"


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


@dataclass(frozen=True, slots=True)
class _Found:
    image: NDArray[np.uint8]
    name: str
    words: list[str]
    composed: bool = False


def categories(folder: Path) -> list[str]:
    """The categories of a folder, sorted. Raises UsageError."""
    return sorted({row["category"] for row in _rows(folder)})


def read(folder: Path, recipe: Recipe, seed: int = 0) -> Examples:
    """The sprites of a folder, by a recipe. Raises UsageError."""
    class_of = {category: name for name, many in recipe.classes.items() for category in many}
    found: list[_Found] = []
    parts: dict[str, list[Layer]] = defaultdict(list)
    for row in _rows(folder):
        category, caption = row["category"], row["caption"]
        layer = recipe.dolls > 0 and category.startswith(_DOLL_CATEGORY)
        if category not in class_of and not layer:
            continue
        image = _load(folder, row["file_name"])
        if image.shape[:2] != (recipe.size, recipe.size):
            continue
        if layer:
            parts[category.removeprefix(_DOLL_CATEGORY)].append(Layer(image, caption))
        elif _large_enough(image, class_of[category], recipe):
            found.append(_Found(image, class_of[category], _words(caption, recipe)))
    for image, caption in compose(parts, recipe.dolls, seed):
        found.append(_Found(image, recipe.doll_class, _words(caption, recipe), composed=True))
    if not found:
        raise UsageError(
            f"{folder}: no sprite of {recipe.size} pixels that the recipe takes.",
            remedy="Check --size and the categories in metadata.csv.",
        )
    return _examples(found, recipe)


def split(examples: Examples, share: float, seed: int = 0) -> tuple[Examples, Examples]:
    """The sprites to learn from and about `share` of them to test on.

    Near-duplicates stay on one side, and composed sprites are not tested on: their parts are
    everywhere.
    """
    groups = near_duplicates(examples.images, skip=examples.composed)
    order = np.random.default_rng(seed).permutation(len(groups))
    wanted, held = int(share * len(examples.images)), list[int]()
    for group in order:
        if len(held) >= wanted:
            break
        held += groups[group]
    mask = np.zeros(len(examples.images), dtype=bool)
    mask[held] = True
    return examples.take(np.flatnonzero(~mask)), examples.take(np.flatnonzero(mask))


def near_duplicates(
    images: NDArray[np.uint8], skip: NDArray[np.bool_], least: float = 4.0
) -> list[list[int]]:
    """Groups of sprites whose pixels differ by less than `least` of 255 (root mean square)."""
    rows = np.flatnonzero(~skip)
    flat = images[rows].reshape(len(rows), -1).astype(np.float32)
    squares = (flat**2).sum(axis=1)
    limit, group = flat.shape[1] * least**2, np.arange(len(rows))
    for start in range(0, len(rows), 512):
        block = slice(start, start + 512)
        distance = squares[block, None] + squares - 2 * flat[block] @ flat.T
        for a, b in np.argwhere(distance < limit):
            if b < a + start and group[b] != group[a + start]:
                group[group == group[a + start]] = group[b]
    members: dict[int, list[int]] = defaultdict(list)
    for row, name in zip(rows, group, strict=True):
        members[int(name)].append(int(row))
    return list(members.values())


def _rows(folder: Path) -> list[dict[str, str]]:
    try:
        with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UsageError(
            f"{folder / 'metadata.csv'} cannot be read: {error.strerror}.",
            remedy="Give a folder with metadata.csv (file_name, category, caption).",
        ) from error
    if not rows or not {"file_name", "category", "caption"} <= rows[0].keys():
        raise UsageError(
            f"{folder / 'metadata.csv'} lacks rows or columns.",
            remedy="It needs the columns file_name, category and caption.",
        )
    return rows


def _load(folder: Path, name: str) -> NDArray[np.uint8]:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UsageError(f"file_name = {name!r} leads out of {folder}.")
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGBA"))
    except (OSError, UnidentifiedImageError) as error:
        raise UsageError(
            f"file_name = {name!r} is no picture that can be read: {error}."
        ) from error


def _large_enough(image: NDArray[np.uint8], name: str, recipe: Recipe) -> bool:
    ys, xs = np.nonzero(image[..., 3])
    if len(ys) < recipe.least_pixels:
        return False
    extent = int(max(np.ptp(ys), np.ptp(xs))) + 1
    return name not in recipe.items or (
        extent >= recipe.least_extent and len(ys) >= recipe.least_item_pixels
    )


def _words(caption: str, recipe: Recipe) -> list[str]:
    return [word for word in tokens(caption) if word not in recipe.stop_words]


def _examples(found: Sequence[_Found], recipe: Recipe) -> Examples:
    """Words that are common enough to be learnt, and no class, make the vocabulary."""
    classes = tuple(
        sorted({one.name for one in found}, key=lambda name: (name != recipe.doll_class, name))
    )
    uses = {made: Counter[str]() for made in (False, True)}
    for one in found:
        uses[one.composed].update(set(one.words))
    common = {word for word, count in uses[False].items() if count >= recipe.least_uses}
    common |= {word for word, count in uses[True].items() if count >= recipe.least_doll_uses}
    vocabulary = tuple(sorted(word for word in common - {*classes} if not word.isdigit()))
    place = {word: index for index, word in enumerate(vocabulary)}
    return Examples(
        images=np.stack([one.image for one in found]),
        labels=np.array([classes.index(one.name) for one in found], dtype=np.int64),
        words=tuple(tuple(place[w] for w in one.words if w in place) for one in found),
        composed=np.array([one.composed for one in found]),
        classes=classes,
        vocabulary=vocabulary,
    )
