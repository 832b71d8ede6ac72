"""What is held out, and that nothing like it is learnt from."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from core.training.examples import Examples
from core.training.split import look_alikes, near_duplicates, split


def test_near_duplicates_are_grouped_across_chains(examples: Examples) -> None:
    images = examples.images[:6].copy()
    images[3] = images[0]
    images[3, 0, 0, 0] ^= 1
    images[5] = images[3]
    images[5, 1, 1, 1] ^= 2
    groups = near_duplicates(images, skip=np.zeros(6, dtype=bool))
    assert sorted(map(sorted, groups)) == [[0, 3, 5], [1], [2], [4]]


def test_split_keeps_near_duplicates_on_one_side_and_loses_nothing(examples: Examples) -> None:
    images = examples.images.copy()
    images[1] = images[0]
    twins = replace(examples, images=images)
    twin = images[0].tobytes()
    for seed in range(20):
        learnt, tested = split(twins, 0.2, seed)
        assert len(learnt.images) + len(tested.images) == len(images)
        assert not tested.composed.any()
        assert 4 <= len(tested.images) <= 5
        sides = [sum(image.tobytes() == twin for image in side.images) for side in (learnt, tested)]
        assert sorted(sides) == [0, 2]


def test_split_can_hold_nothing_out(examples: Examples) -> None:
    learnt, tested = split(examples, 0.0)
    assert (len(learnt.images), len(tested.images)) == (len(examples.images), 0)


def shield(seed: int = 0) -> NDArray[np.uint8]:
    """A sprite of its own on a clear ground, 16 x 16."""
    image = np.zeros((16, 16, 4), dtype=np.uint8)
    image[3:13, 4:11, :3] = np.random.default_rng(seed).integers(0, 256, (10, 7, 3))
    image[3:13, 4:11, 3] = 255
    return image


def test_mirrored_moved_and_recoloured_sprites_are_look_alikes() -> None:
    one = shield()
    recoloured = one[..., [1, 2, 0, 3]] // np.array([2, 2, 2, 1], dtype=np.uint8)
    others = np.stack(
        [one[:, ::-1], np.roll(one, (2, -1), (0, 1)), recoloured, one[::-1], shield(1)]
    )
    found = [bool(look_alikes(other[None], one[None])[0]) for other in others]
    assert found == [True, True, True, False, False]


def test_opaque_tiles_are_found_when_they_are_moved_by_a_pixel() -> None:
    tile = np.full((16, 16, 4), 255, dtype=np.uint8)
    tile[..., :3] = np.random.default_rng(0).integers(0, 256, (16, 16, 3))
    moved = np.stack([np.roll(tile, (0, 1), (0, 1)), np.roll(tile[:, ::-1], (1, 0), (0, 1))])
    far = np.roll(tile, (5, 5), (0, 1))[None]
    assert look_alikes(moved, tile[None]).all()
    assert not look_alikes(far, tile[None]).any()


def test_nothing_looks_like_nothing() -> None:
    none = np.zeros((0, 16, 16, 4), dtype=np.uint8)
    assert look_alikes(none, shield()[None]).shape == (0,)
    assert not look_alikes(shield()[None], none).any()


@pytest.mark.parametrize("seed", range(5))
def test_what_looks_like_a_learnt_sprite_is_not_tested_on(examples: Examples, seed: int) -> None:
    images = np.stack([shield(number) for number in range(len(examples.images))])
    images[1] = images[0][:, ::-1]
    images[3] = images[2][..., [2, 0, 1, 3]]
    varied = replace(examples, images=images, composed=np.zeros(len(images), dtype=bool))
    learnt, tested = split(varied, 0.4, seed)
    assert len(learnt.images) + len(tested.images) == len(images)
    assert len(tested.images) > 2
    assert not look_alikes(tested.images, learnt.images).any()


def test_equal_sprites_are_one_group_however_many() -> None:
    images = np.stack([shield(number % 7) for number in range(70)])
    groups = near_duplicates(images, skip=np.zeros(70, dtype=bool))
    assert [len(group) for group in groups] == [10] * 7
    assert groups[2] == list(range(2, 70, 7))


def test_more_equal_sprites_than_are_tested_on_are_learnt_from(examples: Examples) -> None:
    images = np.concatenate([np.zeros((12, 16, 16, 4), np.uint8), [shield(n) for n in range(8)]])
    many = replace(examples.take(np.arange(20)), images=images, composed=np.zeros(20, dtype=bool))
    for seed in range(5):
        learnt, tested = split(many, 0.2, seed)
        assert (len(learnt.images), len(tested.images)) == (16, 4)


def rolling(count: int) -> NDArray[np.uint8]:
    """An animated tile: each frame looks like the one before, moved on by a pixel."""
    tile = np.full((16, 16, 4), 255, dtype=np.uint8)
    tile[..., :3] = np.random.default_rng(0).integers(0, 256, (16, 16, 3))
    return np.stack([np.roll(tile, step, 1) for step in range(count)])


@pytest.mark.parametrize("seed", range(12))
def test_what_goes_back_takes_its_own_look_alikes_along(examples: Examples, seed: int) -> None:
    images = np.concatenate([rolling(8), [shield(number) for number in range(12)]])
    varied = replace(examples.take(np.arange(20)), images=images, composed=np.zeros(20, dtype=bool))
    learnt, tested = split(varied, 0.3, seed)
    assert len(learnt.images) + len(tested.images) == 20
    assert not look_alikes(tested.images, learnt.images).any()
