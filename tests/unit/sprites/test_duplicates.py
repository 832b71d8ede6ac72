import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.sprites.crowd import drawn
from core.sprites.duplicates import find_near_duplicates

Images = NDArray[np.uint8]


def noise(count: int, size: int = 8, seed: int = 0) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 4), dtype=np.uint8)


def compared_each_with_each(images: Images, least: float) -> list[list[int]]:
    """The same groups, by the definition."""
    pixels = drawn(images).reshape(len(images), -1).astype(np.int64)
    gaps = ((pixels[:, None] - pixels) ** 2).sum(axis=2)
    near = (gaps < least**2 * pixels.shape[1]) | (gaps == 0)
    reached = near
    for _ in range(len(images)):
        reached = (reached.astype(np.int64) @ near) > 0
    groups = {tuple(np.flatnonzero(row).tolist()) for row in reached}
    return sorted(list(group) for group in groups if len(group) > 1)


@given(
    size=st.sampled_from([3, 8, 11, 16]),
    least=st.sampled_from([0.0, 2.0, 4.0, 30.0, 80.0, 105.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_groups_are_those_that_comparing_each_with_each_finds(
    size: int, least: float, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    base = noise(20, size, seed)
    moved = np.clip(base[:10] + chance.integers(-9, 10, base[:10].shape), 0, 255).astype(np.uint8)
    images = np.concatenate([base, moved, base[5:12]])[chance.permutation(37)]
    assert find_near_duplicates(images, least) == compared_each_with_each(images, least)


def test_equal_sprites_are_one_group_in_ascending_order() -> None:
    one, two = noise(2)
    assert find_near_duplicates(iter([one, two, one, two, one])) == [[0, 2, 4], [1, 3]]


def test_colours_that_are_premultiplied_are_taken_as_they_are() -> None:
    images = np.zeros((2, 8, 8, 4), dtype=np.uint8)
    images[..., 3] = 64
    images[1, ..., :3] = 40  # they differ by 35; multiplied once more by their alpha, by 9
    assert find_near_duplicates(images, 20.0, premultiplied=True) == []
    assert find_near_duplicates(images, 20.0) == [[0, 1]]


def test_what_is_transparent_makes_no_difference() -> None:
    images = np.zeros((2, 8, 8, 4), dtype=np.uint8)
    images[1, ..., :3] = 200
    assert find_near_duplicates(images) == [[0, 1]]


def test_chain_of_near_duplicates_is_one_group() -> None:
    images = np.full((5, 8, 8, 4), 255, dtype=np.uint8)
    images[..., :3] = (np.arange(5) * 4)[:, None, None, None]
    assert find_near_duplicates(images, 4.0) == [[0, 1, 2, 3, 4]]
    assert find_near_duplicates(images, 3.0) == []


@pytest.mark.parametrize("count", [0, 1])
def test_few_sprites_have_no_duplicates(count: int) -> None:
    assert find_near_duplicates(noise(count)) == []


def test_many_alike_are_grouped_without_comparing_all_pixels() -> None:
    """All in one group: each pair once would be eight million comparisons."""
    images = np.repeat(noise(1, 4), 4000, axis=0)
    images[:, 0, 0, 0] = np.arange(4000) % 256
    images[:, 0, 0, 3] = 255
    images[:, 1, 1, 1] = np.arange(4000) // 256
    images[:, 1, 1, 3] = 255
    assert find_near_duplicates(images, 100.0) == [list(range(4000))]


def test_sprites_are_the_same_however_they_lie_in_memory() -> None:
    images = noise(4)
    images[3] = images[1]
    turned = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    assert list(find_near_duplicates(turned)) == list(find_near_duplicates(images)) == [[1, 3]]
