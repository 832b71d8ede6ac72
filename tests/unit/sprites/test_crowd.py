import numpy as np
import pytest
from numpy.typing import NDArray

from core.sprites.crowd import Crowd


def noise(seed: int, size: int = 16) -> NDArray[np.uint8]:
    sprite = np.random.default_rng(seed).integers(0, 256, (size, size, 4), dtype=np.uint8)
    sprite[..., 3] = 255
    return sprite


def test_the_same_sprite_is_not_taken_twice() -> None:
    crowd = Crowd(apart=1, size=16, room=3)
    assert [crowd.take(noise(seed)) for seed in (1, 2, 1, 2, 3)] == [True, True, False, False, True]


@pytest.mark.parametrize(("apart", "taken"), [(17.3, True), (17.4, False)])
def test_difference_is_the_root_mean_square_over_channels(apart: float, taken: bool) -> None:
    crowd = Crowd(apart, size=16, room=2)
    one = np.full((16, 16, 4), 255, dtype=np.uint8)
    other = one - np.array([20, 20, 20, 0], dtype=np.uint8)  # 20 * sqrt(3 / 4) = 17.32
    assert [crowd.take(one), crowd.take(other)] == [True, taken]


def test_what_is_clear_does_not_differ() -> None:
    crowd = Crowd(apart=1, size=16, room=2)
    one, other = noise(1), noise(2)
    one[..., 3] = other[..., 3] = 0
    assert [crowd.take(one), crowd.take(other)] == [True, False]


@pytest.mark.parametrize("size", [8, 16, 20, 28, 32])
def test_no_near_sprite_is_missed_by_the_coarse_look(size: int) -> None:
    """A pixel that moves by one, anywhere, is near whatever block it is in."""
    for place in range(0, size * size, 7):
        crowd = Crowd(apart=2, size=size, room=40)
        others = [noise(seed, size) for seed in range(30)]
        assert all(crowd.take(each) for each in others)
        near = others[place % 30].copy()
        near.reshape(-1, 4)[place, :3] ^= 1
        assert not crowd.take(near)
