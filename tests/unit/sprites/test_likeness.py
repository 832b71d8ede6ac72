import numpy as np
import pytest
from numpy.typing import NDArray

from core.sprites.likeness import closest_pairs, nearest, prints


def noise(count: int, size: int = 32) -> NDArray[np.uint8]:
    sprites = np.random.default_rng(5).integers(0, 256, (count, size, size, 4), dtype=np.uint8)
    sprites[..., 3] = 255
    return sprites


def test_prints_are_means_of_what_is_drawn() -> None:
    sprite = np.zeros((1, 16, 16, 4), dtype=np.uint8)
    sprite[0, :2, 0] = (200, 100, 0, 255)  # half of the first block
    sprite[0, 0, 2] = (255, 255, 255, 51)
    found = prints(sprite).reshape(8, 8, 4)
    assert found[0, 0].tolist() == [100, 50, 0, 128]
    assert found[0, 1].tolist() == [13, 13, 13, 13]
    assert found[1:].sum() == 0


@pytest.mark.parametrize("size", [8, 16, 20, 28, 32])
def test_sprites_of_any_size_have_prints(size: int) -> None:
    even = np.full((2, size, size, 4), 255, dtype=np.uint8)
    assert prints(even).tolist() == np.full((2, 256), 255).tolist()


def test_closest_pairs_are_those_of_all_pairs() -> None:
    printed = prints(noise(1200))  # more than a block
    gaps = np.sqrt(((printed[:, None, :8] - printed[None, :, :8]) ** 2).mean(axis=2))
    narrow = np.pad(printed[:, :8], ((0, 0), (0, 248)))
    found = closest_pairs(narrow, 5)
    upper = np.sort(gaps[np.triu_indices(1200, 1)])[:5] / np.sqrt(32)
    assert [pair.distance for pair in found] == pytest.approx(upper.tolist(), abs=0.01)
    for pair in found:
        assert pair.one < pair.other
        assert gaps[pair.one, pair.other] / np.sqrt(32) == pytest.approx(pair.distance, abs=0.01)


def test_one_sprite_has_no_pair() -> None:
    assert closest_pairs(prints(noise(1)), 3) == []


def test_mirror_image_is_as_near_as_the_sprite() -> None:
    known = noise(600)
    asked = np.stack([known[570], known[3][:, ::-1]])
    assert [(pair.one, pair.other) for pair in nearest(prints(asked), prints(known))] == [
        (0, 570), (1, 3),
    ]  # fmt: skip
    assert all(pair.distance == 0 for pair in nearest(prints(asked), prints(known)))
