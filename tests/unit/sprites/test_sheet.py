import numpy as np
import pytest
from PIL import Image

from core.sprites.sheet import draw

RED, CLEAR = (255, 0, 0, 255), (0, 0, 0, 0)


def sprite(size: int = 32, colour: tuple[int, ...] = RED) -> np.ndarray:
    return np.full((size, size, 4), colour, dtype=np.uint8)


def count(sheet: Image.Image, colour: tuple[int, ...]) -> int:
    return int((np.asarray(sheet) == colour[:3]).all(axis=2).sum())


@pytest.mark.parametrize(("size", "scale"), [(16, 6), (32, 3), (40, 2), (96, 1), (128, 1)])
def test_sprites_are_drawn_at_the_largest_whole_scale(size: int, scale: int) -> None:
    assert count(draw("t", "n", [("red", [sprite(size)])]), RED) == (size * scale) ** 2


def test_every_sprite_of_every_row_is_drawn() -> None:
    rows = [("one", [sprite()] * 8), ("two", [sprite()] * 3)]
    assert count(draw("t", "n", rows), RED) == 11 * 96**2


def test_transparent_pixels_show_a_checkerboard_of_equal_parts() -> None:
    sheet = np.asarray(draw("t", "n", [("clear", [sprite(colour=CLEAR)])]))
    board = sheet[-24 - 96 : -24, 284 : 284 + 96].reshape(-1, 3)
    colours, counts = np.unique(board, axis=0, return_counts=True)
    assert len(colours) == 2
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "label", ["", "potion", "word " * 200, "x" * 500, "line\nbreak", "\u202eü"]
)
def test_any_label_leaves_sprites_and_size_alone(label: str) -> None:
    plain = draw("t", "n", [("potion", [sprite()])])
    sheet = draw("t", "n", [(label, [sprite()])])
    assert sheet.size == plain.size
    assert count(sheet, RED) == count(plain, RED)


def test_long_title_leaves_the_width_alone() -> None:
    rows = [("potion", [sprite()])]
    assert draw("t" * 500, "n " * 500, rows).size == draw("t", "n", rows).size


def test_sheet_without_sprites_has_its_title() -> None:
    assert draw("t", "n", []).width == draw("t", "n", [("potion", [sprite()])]).width


def test_labels_differ_in_the_picture() -> None:
    one, two = (draw("t", "n", [(label, [sprite()])]) for label in ("hero", "potion"))
    assert one.tobytes() != two.tobytes()
