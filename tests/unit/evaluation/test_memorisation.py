from dataclasses import replace

import numpy as np
import pytest

from core.evaluation.memorisation import (
    LEAST_HELD_OUT,
    distinct,
    in_turn,
    near_duplicates,
    thresholds,
)
from tests.unit.evaluation.sprites import blocks, examples


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


def test_sprites_in_turn_are_as_far_as_the_nearest_other() -> None:
    images = blocks(30)
    images[:5, :, :16] = images[0, :, :16]  # more than leave in one turn share a half
    gaps, rows = in_turn(examples(images, [0] * 30, ("book",)))
    assert sorted(rows.tolist()) == list(range(30))
    assert set(rows[np.argsort(gaps)][:5].tolist()) == set(range(5))


def test_sprites_in_turn_have_no_look_alike_that_stays() -> None:
    images = blocks(30)
    images[3] = images[4, :, ::-1]  # mirrored: no near-duplicate, so they need not go together
    images[8] = images[9]
    gaps, rows = in_turn(examples(images, [0] * 30, ("book",)))
    assert len({8, 9} & set(rows.tolist())) == 1  # near-duplicates go together, and count once
    assert 0.3 < gaps.min() <= gaps.max() <= 1
    assert set(range(30)) - {3, 4, 8, 9} <= set(rows.tolist())


def test_near_duplicates_are_one_distinct_sprite_and_composed_ones_all() -> None:
    images = blocks(6)
    images[2] = images[1]
    images[5] = images[4]
    known = examples(images, [0] * 6, ("hero",))
    assert sorted(distinct(known)) == [0, 1, 3, 4]
    composed = replace(known, composed=np.arange(6) > 3)
    assert sorted(distinct(composed)) == [0, 1, 3, 4, 5]


def test_composed_sprites_are_not_held_out_in_turn() -> None:
    known = examples(blocks(12), [0] * 12, ("hero",))
    composed = replace(known, composed=np.arange(12) < 5)
    _, rows = in_turn(composed)
    assert sorted(rows.tolist()) == list(range(5, 12))
    assert len(in_turn(replace(known, composed=np.ones(12, dtype=bool)))[1]) == 0


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
