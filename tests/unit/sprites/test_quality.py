import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from core.sprites.quality import colours, cover, sound, wholeness

Picture = list[str]
BLANK = ["....", "....", "....", "...."]
HALF = ["aaaa", "aaaa", "....", "...."]
DIAGONAL = ["a...", ".b..", "..c.", "...d"]
TWO_PIECES = ["aa..", "....", "...b", "..bb"]
SNAKE = ["aaaa", "...a", "aaaa", "a..."]
FULL = ["abab", "baba", "abab", "baba"]
FLAT = ["aaaa", "aaaa", "aaaa", "aaaa"]
CRUMBS = ["a.a.a", ".....", "a.a.a", ".....", "a.a.a"]


def sprites(*pictures: Picture) -> NDArray[np.uint8]:
    """Letters are colours, dots are clear."""
    drawn = []
    for picture in pictures:
        codes = np.array([[ord(sign) for sign in row] for row in picture], dtype=np.uint8)
        rgba = np.stack([codes, codes, codes, np.full_like(codes, 255)], axis=-1)
        rgba[codes == ord(".")] = 0
        drawn.append(rgba)
    return np.stack(drawn)


def test_cover_is_the_visible_share() -> None:
    assert cover(sprites(BLANK, HALF, DIAGONAL, FULL)).tolist() == [0, 0.5, 0.25, 1]


def test_faint_pixels_are_visible() -> None:
    faint = sprites(FLAT)
    faint[..., 3] = 1
    assert cover(faint).tolist() == [1]


def test_colours_of_clear_pixels_do_not_count() -> None:
    assert colours(sprites(BLANK, HALF, DIAGONAL, FULL, FLAT)).tolist() == [0, 1, 4, 2, 1]


def test_colours_that_differ_in_alpha_alone_are_one() -> None:
    shaded = sprites(FLAT)
    shaded[0, 0, :, 3] = 100
    assert colours(shaded).tolist() == [1]


@pytest.mark.parametrize(
    ("picture", "share"),
    [(BLANK, 0), (HALF, 1), (DIAGONAL, 1), (SNAKE, 1), (TWO_PIECES, 0.6), (CRUMBS, 1 / 9)],
)
def test_wholeness_is_the_share_of_the_largest_piece(picture: Picture, share: float) -> None:
    assert wholeness(sprites(picture)).tolist() == [share]


def test_neighbours_in_the_batch_are_no_neighbours_in_the_picture() -> None:
    together = wholeness(sprites(TWO_PIECES, FULL, BLANK, TWO_PIECES))
    assert together.tolist() == [0.6, 1, 0, 0.6]


@given(arrays(np.uint8, (2, 7, 7), elements=st.sampled_from([0, 255])))
@settings(max_examples=60, deadline=None)
def test_wholeness_is_what_flooding_finds(alpha: NDArray[np.uint8]) -> None:
    rgba = np.repeat(alpha[..., None], 4, axis=-1)
    expected = [largest(mask) / max(1, mask.sum()) for mask in alpha > 0]
    assert wholeness(rgba).tolist() == expected


def largest(mask: NDArray[np.bool_]) -> int:
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    best = 0
    while left:
        edge, size = [left.pop()], 0
        while edge:
            y, x = edge.pop()
            size += 1
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            edge += near
        best = max(best, size)
    return best


def test_blank_flat_and_crumbled_sprites_are_not_sound() -> None:
    drawn = sprites(BLANK, FLAT, HALF, FULL, TWO_PIECES)
    assert sound(drawn, wholeness(drawn)).tolist() == [False, False, True, True, True]
    crumbs = sprites(CRUMBS)
    assert sound(crumbs, wholeness(crumbs)).tolist() == [False]
