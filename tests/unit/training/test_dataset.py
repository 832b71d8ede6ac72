"""What is read from a folder of sprites, and how it is cut."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UsageError
from core.training.dataset import read
from core.training.examples import Examples
from core.training.recipe import DUNGEON

from .conftest import RECIPE, SIZE, SPRITES, write


def test_sprites_are_named_by_the_recipe(examples: Examples) -> None:
    assert examples.classes == ("hero", "potion", "sword")
    assert np.bincount(examples.labels).tolist() == [10, 8, 4]
    assert examples.images.shape == (22, SIZE, SIZE, 4)
    assert examples.composed.sum() == 10


def test_vocabulary_holds_common_words_that_are_no_class(examples: Examples) -> None:
    assert {"red", "blue", "king", "human"} <= set(examples.vocabulary)
    assert not {"old", "the", "sword", "potion", "blade", "junk"} & set(examples.vocabulary)
    first = [examples.vocabulary[word] for word in examples.words[0]]
    assert first == ["red"]


def test_odd_words_are_told_by_what_they_mean(folder: Path) -> None:
    write(folder, [*SPRITES, *(("item/potion", "ruby ybrown draught"),) * 3])
    recipe = replace(RECIPE, meanings={"ybrown": "yellow brown", "ruby": "old"})
    assert {"yellow", "brown", "draught"} <= set(read(folder, recipe).vocabulary)
    assert not {"ybrown", "ruby", "old"} & set(read(folder, recipe).vocabulary)


def test_composed_characters_are_the_same_for_the_same_seed(folder: Path) -> None:
    one, again, other = (read(folder, RECIPE, seed).images for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_only_bases_in_the_common_pose_are_dressed(examples: Examples) -> None:
    captions = {examples.vocabulary[w] for i in np.flatnonzero(examples.composed)
                for w in examples.words[i]}  # fmt: skip
    assert "human" in captions
    assert "octopus" not in captions


def test_sprites_of_another_size_and_slight_ones_are_left_out(folder: Path) -> None:
    Image.new("RGBA", (SIZE * 2, SIZE)).save(folder / "0.png")
    slight = np.zeros((SIZE, SIZE, 4), dtype=np.uint8)
    slight[:7, :7] = 255
    Image.fromarray(slight).save(folder / "1.png")
    assert np.bincount(read(folder, RECIPE).labels).tolist() == [10, 6, 4]


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"metadata\.csv"):
        read(tmp_path, RECIPE)


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("name\nx\n")
    with pytest.raises(UsageError, match="file_name, category, caption"):
        read(tmp_path, RECIPE)


def test_a_picture_outside_the_folder_is_refused(folder: Path) -> None:
    (folder / "metadata.csv").write_text("file_name,category,caption\n../x.png,item/potion,x\n")
    with pytest.raises(UsageError, match="leads out"):
        read(folder, RECIPE)


def test_a_broken_picture_is_refused(folder: Path) -> None:
    (folder / "2.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"2\.png"):
        read(folder, RECIPE)


def test_a_folder_with_nothing_to_learn_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [("other", "thing")])
    with pytest.raises(UsageError, match="no sprite of 16 pixels"):
        read(tmp_path, RECIPE)


def test_the_bundled_recipe_names_no_category_twice() -> None:
    named = [category for many in DUNGEON.classes.values() for category in many]
    assert len(named) == len(set(named))
    assert DUNGEON.items | DUNGEON.varied.mirrored <= set(DUNGEON.classes)


def test_layers_without_a_base_make_no_character(tmp_path: Path) -> None:
    write(tmp_path, [("item/potion", "red potion"), ("player/body", "green robe")])
    assert read(tmp_path, RECIPE).classes == ("potion",)
