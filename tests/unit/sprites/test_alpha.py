"""From what is drawn to what is stored."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.sprites.alpha import Alpha, from_rgba, to_rgba


def drawn(*rgba: float) -> NDArray[np.float32]:
    """One pixel, premultiplied, given in [0, 1]."""
    return (np.array(rgba, dtype=np.float32) * 2 - 1).reshape(1, len(rgba), 1, 1)


def pixel(image: NDArray[np.uint8]) -> list[int]:
    return [int(value) for value in image[0, 0, 0]]


def test_soft_alpha_gives_back_the_colour_that_was_there() -> None:
    assert pixel(to_rgba(drawn(0.25, 0.125, 0.0, 0.5), "soft")) == [128, 64, 0, 128]


@pytest.mark.parametrize(("cover", "shown"), [(0.49, 0), (0.51, 255), (0.0, 0), (1.0, 255)])
def test_binary_alpha_is_all_or_nothing(cover: float, shown: int) -> None:
    assert pixel(to_rgba(drawn(cover, 0, 0, cover), "binary")) == [shown, 0, 0, shown]


@pytest.mark.parametrize("alpha", ["binary", "soft"])
def test_clear_pixels_are_black(alpha: Alpha) -> None:
    assert pixel(to_rgba(drawn(0.9, 0.9, 0.9, 0.001), alpha)) == [0, 0, 0, 0]


def test_opaque_puts_the_sprite_on_black() -> None:
    assert pixel(to_rgba(drawn(0.25, 0.5, 0.0, 0.5), "opaque")) == [64, 128, 0, 255]


def test_values_out_of_range_are_cut() -> None:
    assert pixel(to_rgba(drawn(1.4, -0.3, 0.5, 1.2), "soft")) == [255, 0, 128, 255]


def test_images_without_alpha_are_opaque() -> None:
    assert pixel(to_rgba(drawn(1.0, 0.0, 0.2), "binary")) == [255, 0, 51, 255]


def test_there_and_back_keeps_every_sprite_with_all_or_nothing_alpha() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 4), dtype=np.uint8)
    rgba[..., 3] = np.where(rgba[..., 3] < 128, 0, 255)
    rgba[rgba[..., 3] == 0] = 0
    assert np.array_equal(to_rgba(from_rgba(rgba), "binary"), rgba)
    assert np.array_equal(to_rgba(from_rgba(rgba), "soft"), rgba)


def test_what_is_trained_on_is_premultiplied() -> None:
    rgba = np.array([200, 100, 0, 51], dtype=np.uint8).reshape(1, 1, 1, 4)
    unit = (from_rgba(rgba) + 1) / 2
    assert unit.flatten() == pytest.approx([200 / 255 / 5, 100 / 255 / 5, 0, 0.2], abs=1e-6)
