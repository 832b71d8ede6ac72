import numpy as np
import pytest

from core.sprites.palette import snap

PALETTE = ("#000000", "#ffffff", "#ff0000", "#00ff00", "#0000ff")


def pixels(*colours: tuple[int, int, int, int]) -> np.ndarray:
    return np.array([colours], dtype=np.uint8)


def test_colours_of_the_palette_stay() -> None:
    sprite = pixels((0, 0, 0, 255), (255, 255, 255, 255), (255, 0, 0, 255), (0, 0, 255, 255))
    assert np.array_equal(snap(sprite, PALETTE), sprite)


@pytest.mark.parametrize(
    ("colour", "nearest"),
    [
        ((200, 20, 30), (255, 0, 0)),
        ((250, 250, 200), (255, 255, 255)),
        ((10, 20, 10), (0, 0, 0)),
        ((60, 200, 60), (0, 255, 0)),
    ],
)
def test_colour_becomes_the_nearest(
    colour: tuple[int, int, int], nearest: tuple[int, int, int]
) -> None:
    assert tuple(snap(pixels((*colour, 255)), PALETTE)[0, 0]) == (*nearest, 255)


def test_nearness_is_that_of_the_eye() -> None:
    """In RGB the mid grey 119 is nearer to black than to white; for the eye it is not."""
    assert snap(pixels((119, 119, 119, 255)), ("#000000", "#ffffff"))[0, 0, 0] == 255


def test_alpha_and_transparent_pixels_stay() -> None:
    sprite = pixels((200, 20, 30, 0), (200, 20, 30, 100))
    assert snap(sprite, PALETTE).tolist() == [[[200, 20, 30, 0], [255, 0, 0, 100]]]


def test_only_colours_of_the_palette_are_left() -> None:
    sprites = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 4), dtype=np.uint8)
    sprites[..., 3] |= 1
    left = {tuple(colour) for colour in snap(sprites, PALETTE)[..., :3].reshape(-1, 3)}
    assert left <= {tuple(bytes.fromhex(text[1:])) for text in PALETTE}


def test_a_sprite_is_snapped_alike_alone_and_among_others() -> None:
    sprites = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 4), dtype=np.uint8)
    together = snap(sprites, PALETTE)
    assert all(np.array_equal(snap(s, PALETTE), t) for s, t in zip(sprites, together, strict=True))


def test_first_of_equal_colours_is_taken_and_the_input_left_alone() -> None:
    sprite = pixels((9, 9, 9, 255))
    snap(sprite, ("#FF0000", "#ff0000"))
    assert sprite.tolist() == [[[9, 9, 9, 255]]]


def test_wholly_transparent_sprite_is_returned_as_it_is() -> None:
    sprite = np.zeros((4, 4, 4), dtype=np.uint8)
    assert np.array_equal(snap(sprite, PALETTE), sprite)
