"""A folder of tiny sprites: two classes and a paper doll."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.training.dataset import read
from core.training.examples import Examples
from core.training.recipe import Augment, Recipe

SIZE = 16
RECIPE = Recipe(
    classes={"potion": ("item/potion",), "sword": ("item/sword", "item/blade")},
    size=SIZE, stop_words=frozenset({"old"}), items=frozenset({"potion"}),
    varied=Augment(frozenset({"sword"})), doll_class="hero", dolls=10, least_doll_uses=3,
    least_item_pixels=20, least_extent=8,
)  # fmt: skip
SPRITES = [
    *(("item/potion", f"potion {colour}") for colour in ("red", "blue") for _ in range(4)),
    *(("item/sword", "sword of the old king") for _ in range(3)),
    ("item/blade", "the red blade"),
    ("gui/junk", "junk"),
    ("player/base", "human character"),
    ("player/base", "octopus character"),
    ("player/body", "green robe"),
]


def write(folder: Path, rows: list[tuple[str, str]], size: int = SIZE) -> None:
    draw = np.random.default_rng(0)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "category", "caption"])
        for number, (category, caption) in enumerate(rows):
            rgba = draw.integers(0, 256, (size, size, 4), dtype=np.uint8)
            rgba[..., 3] = 255
            Image.fromarray(rgba).save(folder / f"{number}.png")
            table.writerow([f"{number}.png", category, caption])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, SPRITES)
    return tmp_path


@pytest.fixture
def examples(folder: Path) -> Examples:
    return read(folder, RECIPE)
