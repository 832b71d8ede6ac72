import numpy as np
import pytest

from core.sprites.palette import choose, flatten, snap

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


def noisy(count: int, *colours: tuple[int, int, int]) -> np.ndarray:
    """Sprites whose pixels are a little off these colours."""
    random = np.random.default_rng(1)
    picked = np.array(colours)[random.integers(0, len(colours), (count, 16, 16))]
    sprites = np.full((count, 16, 16, 4), 255, dtype=np.uint8)
    sprites[..., :3] = np.clip(picked + random.integers(-3, 4, picked.shape), 0, 255)
    sprites[:, :2] = 0
    return sprites


def colours_of(pixels: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in pixels.reshape(-1, 4) if colour[3]}


CLEAR = ((200, 30, 30), (30, 160, 60), (40, 60, 200), (240, 230, 200))


def test_chosen_colours_are_those_that_the_noise_is_around() -> None:
    chosen = choose(noisy(3, *CLEAR), 4)
    assert len(chosen) == 4
    for wanted in CLEAR:
        gaps = [np.abs(np.subtract(wanted, tuple(bytes.fromhex(c[1:])))).max() for c in chosen]
        assert min(gaps) <= 3


def test_few_colours_are_all_chosen() -> None:
    sprite = pixels(*((value, 0, 0, 255) for value in range(0, 200, 2)))
    assert np.array_equal(snap(sprite, choose(sprite, 100)), sprite)
    assert len(choose(sprite, 7)) == 7


def test_choice_does_not_depend_on_the_order_of_sprites() -> None:
    sprites = noisy(6, *CLEAR, (90, 90, 90))
    assert choose(sprites, 3) == choose(sprites[::-1], 3) == choose(sprites[:, ::-1], 3)


def test_what_is_transparent_has_no_say() -> None:
    assert choose(pixels((9, 200, 9, 0), (1, 2, 3, 255)), 8) == ("#010203",)
    assert choose(np.zeros((2, 4, 4, 4), dtype=np.uint8), 8) == ("#000000",)


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_flattened_sprite_has_at_most_so_many_colours_all_its_own(count: int) -> None:
    sprites = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 4), dtype=np.uint8)
    sprites[:, :4, :, 3] = 0
    for before, after in zip(sprites, flatten(sprites, count), strict=True):
        assert 1 <= len({colour[:3] for colour in colours_of(after)}) <= count
        own = {colour[:3] for colour in colours_of(before)}
        assert {colour[:3] for colour in colours_of(after)} <= own
        assert np.array_equal(after[..., 3], before[..., 3])
        assert np.array_equal(after[:4], before[:4])


def test_like_colours_become_one_however_many_are_allowed() -> None:
    assert len(colours_of(flatten(noisy(1, *CLEAR), 64))) == len(CLEAR)


def test_sprite_is_flattened_alike_alone_and_among_others() -> None:
    sprites = np.random.default_rng(2).integers(0, 256, (4, 16, 16, 4), dtype=np.uint8)
    together = flatten(sprites, 8)
    for number in range(4):
        assert np.array_equal(flatten(sprites[number : number + 1], 8)[0], together[number])


def test_flat_empty_and_no_sprites_are_left_as_they_are() -> None:
    for sprites in (
        np.zeros((2, 8, 8, 4), dtype=np.uint8),
        np.full((2, 8, 8, 4), 255, dtype=np.uint8),
        np.zeros((0, 8, 8, 4), dtype=np.uint8),
    ):
        assert np.array_equal(flatten(sprites, 4), sprites)
