import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UsageError
from core.evaluation.real import Plain, joined, named, parts, recipe_of, shown_as
from core.training import session, split
from core.training.options import Options
from core.training.recipe import DUNGEON, Recipe
from tests.unit.evaluation.sprites import blocks, examples

RECIPE = Recipe(
    classes={"potion": ("item/potion",)}, doll_class="hero", dolls=30, least_pixels=1,
    least_doll_uses=1,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty potions and the layers of a paper doll."""
    rows = [("item/potion", "red potion")] * 20
    rows += [("player/base", "human character")] * 2
    rows += [(f"player/{part}", f"{part} {n}") for part in ("body", "hair") for n in range(6)]
    with (tmp_path / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "category", "caption"])
        for number, ((category, caption), image) in enumerate(
            zip(rows, blocks(len(rows)), strict=True)
        ):
            Image.fromarray(image).save(tmp_path / f"{number}.png")
            table.writerow([f"{number}.png", category, caption])
    return tmp_path


def test_held_out_composed_sprites_are_none_of_those_to_learn_from(folder: Path) -> None:
    learnt, held = parts(folder, RECIPE, 0.2)
    known = {image.tobytes() for image in learnt.images}
    assert held.composed.any()
    assert not any(image.tobytes() in known for image in held.images)
    assert set(held.labels[held.composed]) == {held.classes.index("hero")}
    assert (~held.composed).sum() == (~learnt.composed).sum() == 10


def test_parts_are_the_same_every_time(folder: Path) -> None:
    first, second = (parts(folder, RECIPE, 0.2) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.images, b.images)


def test_any_folder_of_folders_is_real_too(tmp_path: Path) -> None:
    for number, image in enumerate(blocks(12)):
        path = tmp_path / ("book" if number % 2 else "potion") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    learnt, held = parts(tmp_path, Plain(), 0.5)
    assert len(learnt.images) == len(held.images) == 6
    assert learnt.classes == held.classes == ("book", "potion")
    assert parts(tmp_path, Plain(size=16), 0.5)[0].images.shape == (6, 16, 16, 4)


def test_sprites_are_named_by_their_files(folder: Path) -> None:
    learnt, _ = parts(folder, RECIPE, 0)
    names = named(folder, learnt)
    assert sorted(filter(None, names)) == sorted(f"{number}.png" for number in range(20))
    assert names.count("") == 30


def test_recipe_is_found_by_the_categories(folder: Path, tmp_path: Path) -> None:
    assert recipe_of(folder, "auto", 32) is None
    assert recipe_of(folder, "dungeon", 32) is DUNGEON
    lines = [f"a.png,{one},x" for many in DUNGEON.classes.values() for one in many]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,category,caption", *lines]))
    assert recipe_of(tmp_path, "auto", 32) is DUNGEON
    assert recipe_of(tmp_path, "auto", 16) is None
    assert recipe_of(tmp_path, "plain", 32) is None
    assert recipe_of(tmp_path / "nowhere", "auto", 32) is None
    with pytest.raises(UsageError, match="sprites of 32 pixels, not 16"):
        recipe_of(tmp_path, "dungeon", 16)


def test_sprites_of_other_classes_are_not_joined() -> None:
    books, potions = (examples(blocks(1), [0], (name,)) for name in ("book", "potion"))
    with pytest.raises(ValueError, match="not the same classes"):
        joined(books, potions)


def test_what_a_training_held_out_is_held_out_here_however_many_sprites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split, "_MOST_TESTED", 3)
    for number, image in enumerate(blocks(20)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    here = parts(tmp_path, Plain(), 0.5)[1]
    there = session._prepare(Options(data=str(tmp_path), out="", name="x", held_out=0.5)).tested
    assert len(here.images) == 3
    assert np.array_equal(here.images, there.images)


def test_real_sprites_are_shown_as_those_that_they_are_compared_with() -> None:
    real = examples(blocks(4), [0] * 4, ("book",))
    clear = blocks(2, seed=1)
    coloured, grey = clear.copy(), clear.copy()
    coloured[..., 3] = grey[..., 3] = 255
    grey[..., 1:3] = grey[..., :1]
    assert shown_as(clear, real) is real
    on_black = shown_as(coloured, real).images
    seen = real.images[..., 3:] > 0
    assert np.array_equal(on_black[..., :3], real.images[..., :3] * seen)
    assert (on_black[..., 3] == 255).all()
    shades = shown_as(grey, real).images
    assert (shades[..., :3] == shades[..., :1]).all()
