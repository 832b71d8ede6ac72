"""What composed characters are said to have."""

from collections.abc import Sequence

import numpy as np

from core.training.dolls import Layer, compose

SIZE = 16


def layer(caption: str, top: int, bottom: int) -> Layer:
    image = np.zeros((SIZE, SIZE, 4), dtype=np.uint8)
    image[top:bottom, 4:12] = (200, 100, 50, 255)
    return Layer(image, caption)


def captions(**parts: Sequence[Layer]) -> list[str]:
    base = [layer("human", 2, 14)]
    return [caption for _, caption in compose({"base": base, **parts}, 300, seed=0)]


def test_a_part_that_others_cover_is_not_told() -> None:
    told = captions(legs=[layer("pants", 10, 14)], body=[layer("robe", 6, 14)])
    assert {"human", "human pants", "human robe"} == set(told)


def test_a_part_of_which_enough_is_left_is_told() -> None:
    told = captions(legs=[layer("pants", 10, 14)], body=[layer("shirt", 6, 13)])
    assert "human pants shirt" in told  # 8 pixels of it are seen


def test_a_part_that_is_small_by_itself_is_told() -> None:
    small = layer("ring", 8, 9)
    small.image[8, 6:] = 0  # two pixels
    assert "human ring" in captions(gloves=[small])


def test_of_a_cloak_only_what_lies_beside_the_body_is_seen() -> None:
    hidden, wide = layer("cape", 4, 12), layer("cloak", 4, 12)
    wide.image[4:12, :] = (9, 9, 9, 255)
    assert set(captions(cloak=[hidden])) == {"human"}
    assert set(captions(cloak=[wide])) == {"human", "human cloak"}
