"""A folder with `metadata.csv`: pictures, each with a category and a caption, taken by a recipe."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.request.contexts import tokens
from core.training.dolls import Layer, compose
from core.training.examples import Examples, Found, gather
from core.training.fitting import fit, load
from core.training.recipe import Recipe

TABLE = "metadata.csv"
_DOLL_CATEGORY = "player/"


def read(folder: Path, recipe: Recipe, seed: int = 0) -> Examples:
    """The sprites of a folder, by a recipe. Raises UsageError."""
    class_of = {category: name for name, many in recipe.classes.items() for category in many}
    found: list[Found] = []
    parts: dict[str, list[Layer]] = defaultdict(list)
    for row in table(folder, "category", "caption"):
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
            found.append(Found(image, class_of[category], _words(caption, recipe)))
    for image, caption in compose(parts, recipe.dolls, seed):
        found.append(Found(image, recipe.doll_class, _words(caption, recipe), composed=True))
    if not found:
        raise UsageError(
            f"{folder}: no sprite of {recipe.size} pixels that the recipe takes.",
            remedy=f"Check --recipe and the categories in {TABLE}.",
        )
    return gather(found, recipe)


def listed(folder: Path, size: int) -> Iterator[Found]:
    """Every picture of a folder's table, in squares of `size` pixels. Raises UsageError.

    The class is the last part of the category, or all of it where two end alike; the words are the
    caption's. Either column may be missing; the folders that Spritemill writes have a class instead
    of a category.
    """
    rows = table(folder)
    names = _class_names({_category(row) for row in rows})
    for row in rows:
        image = fit(_load(folder, row["file_name"]), size)
        yield Found(image, names[_category(row)], tokens(row.get("caption") or ""))


def _category(row: dict[str, str]) -> str:
    return row.get("category") or row.get("class") or ""


def _class_names(categories: set[str]) -> dict[str, str]:
    ends = Counter(name.rpartition("/")[2] for name in categories)
    short = {name: name.rpartition("/")[2] for name in categories}
    return {name: end if ends[end] == 1 else name.replace("/", "-") for name, end in short.items()}


def table(folder: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a folder's table, each with a file and these columns. Raises UsageError."""
    try:
        with (folder / TABLE).open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{folder / TABLE} cannot be read: {error}.",
            remedy=f"Give a folder with {TABLE} (file_name, category, caption), in UTF-8.",
        ) from error
    needed = ("file_name", *columns)
    if not rows or not set(needed) <= rows[0].keys():
        raise UsageError(
            f"{folder / TABLE} lacks rows or columns.",
            remedy=f"It needs the columns {', '.join(needed)}.",
        )
    for number, row in enumerate(rows, start=1):
        if any(row[column] is None for column in needed):
            raise UsageError(
                f"{folder / TABLE}: row {number} is shorter than the first line.",
                remedy=f"It needs the columns {', '.join(needed)}.",
            )
    return rows


def _load(folder: Path, name: str) -> NDArray[np.uint8]:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UsageError(f"file_name = {name!r} leads out of {folder}.")
    return load(path)


def _large_enough(image: NDArray[np.uint8], name: str, recipe: Recipe) -> bool:
    ys, xs = np.nonzero(image[..., 3])
    if len(ys) < recipe.least_pixels:
        return False
    extent = int(max(np.ptp(ys), np.ptp(xs))) + 1
    return name not in recipe.items or (
        extent >= recipe.least_extent and len(ys) >= recipe.least_item_pixels
    )


def _words(caption: str, recipe: Recipe) -> list[str]:
    plain = " ".join(recipe.meanings.get(word, word) for word in tokens(caption))
    return [word for word in tokens(plain) if word not in recipe.stop_words]
