import numpy as np
import pytest

from core.evaluation.memorisation import LEAST_HELD_OUT, near_duplicates, thresholds
from tests.unit.evaluation.sprites import blocks


def test_classes_with_few_held_out_sprites_share_a_threshold() -> None:
    many = LEAST_HELD_OUT + 1
    distances = np.concatenate([np.arange(many), [200, 300], [100]]).astype(np.float32)
    classes = np.array(["wall"] * many + ["book"] * 2 + ["food"])
    found = thresholds(distances, classes, ["wall", "book", "food", "wand"])
    assert found["wall"] == pytest.approx(1)
    assert found["book"] == found["food"] == found["wand"] == pytest.approx(102)


def test_without_any_class_of_few_the_threshold_of_all_is_taken() -> None:
    distances = np.arange(LEAST_HELD_OUT + 1, dtype=np.float32)
    found = thresholds(distances, np.full(len(distances), "wall"), ["book"])
    assert found == {"book": pytest.approx(1)}


def test_sprites_that_differ_a_little_or_are_mirrored_are_near_duplicates() -> None:
    images = blocks(4)
    images[1] = images[0]
    images[1, 0, 0, 0] ^= 64
    images[3] = images[2, :, ::-1]
    assert near_duplicates(images).all()


def test_sprites_that_differ_are_no_near_duplicates() -> None:
    assert not near_duplicates(blocks(5)).any()


def test_symmetric_sprite_is_no_duplicate_of_itself() -> None:
    images = blocks(2)
    images[0, :, 16:] = images[0, :, 15::-1]
    assert not near_duplicates(images).any()
