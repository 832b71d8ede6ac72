"""Animated files say what was put into them: frames, colours, transparency, times."""

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.sprites.animation import Kind, animate, arrange


def frame(seed: int, colours: int = 200) -> NDArray[np.uint8]:
    """A picture of so many random colours with a hole, transparent below."""
    random = np.random.default_rng(seed)
    palette = random.integers(0, 256, (colours, 4), dtype=np.uint8)
    palette[:, 3] = 255
    picture: NDArray[np.uint8] = palette[random.integers(0, colours, (24, 40))]
    picture[20:] = picture[5:9, 30:] = 0
    return picture


def shown(file: bytes, scale: int) -> list[NDArray[np.uint8]]:
    """The frames, each of the enlarged pixels once; all of a pixel must be equal."""
    frames = []
    with Image.open(BytesIO(file)) as opened:
        for number in range(getattr(opened, "n_frames", 1)):
            opened.seek(number)
            large = np.array(opened.convert("RGBA"))
            small = large[::scale, ::scale].copy()
            assert np.array_equal(small.repeat(scale, axis=0).repeat(scale, axis=1), large)
            small[small[..., 3] == 0] = 0  # a GIF's clear pixels have some colour
            frames.append(small)
    return frames


@pytest.mark.parametrize("kind", ["gif", "webp"])
@pytest.mark.parametrize("scale", [1, 3])
def test_every_frame_has_its_true_colours(kind: Kind, scale: int) -> None:
    frames = [frame(seed) for seed in range(4)]
    for before, after in zip(frames, shown(animate(frames, kind, scale), scale), strict=True):
        assert np.array_equal(before, after)


def test_gif_keeps_black_at_the_edge_apart_from_what_is_clear() -> None:
    """The first frame has no black, the second has it outside of everything else."""
    first, second = (np.zeros((12, 12, 4), dtype=np.uint8) for _ in range(2))
    first[4:8, 4:8] = second[4:8, 4:8] = (200, 40, 40, 255)
    second[1, 10] = (0, 0, 0, 255)
    for before, after in zip(
        (first, second), shown(animate([first, second], "gif", 2), 2), strict=True
    ):
        assert np.array_equal(before, after)


def test_webp_keeps_every_colour_and_half_transparent_pixels() -> None:
    frames = [frame(1, 900), frame(2, 900)]
    frames[1][:10, :, 3] = 77
    for before, after in zip(frames, shown(animate(frames, "webp", 2), 2), strict=True):
        assert np.array_equal(before, after)


def test_gif_of_very_many_colours_is_near_to_all_of_them() -> None:
    near = np.full((32, 32, 4), 255, dtype=np.uint8)
    near[..., 0], near[..., 1] = np.mgrid[0:256:8, 0:256:8]
    (after, _) = shown(animate([near, frame(1)[:32, :32].repeat(2, 0)[:32, :32]], "gif", 1), 1)
    assert np.array_equal(after[..., 3], near[..., 3])
    gaps = np.abs(after[..., :3].astype(int) - near[..., :3])
    assert gaps.mean() < 5


def test_gif_makes_half_transparent_pixels_opaque_or_clear() -> None:
    half = frame(3)
    half[:10, :, 3], half[10:20, :, 3] = 100, 200
    after, _ = shown(animate([half, frame(4)], "gif", 1), 1)
    assert np.array_equal(after[..., 3] == 255, half[..., 3] > 127)
    assert np.array_equal(after[10:20, :, :3], half[10:20, :, :3])


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_animation_goes_round_and_rests_at_its_end(kind: Kind) -> None:
    with Image.open(BytesIO(animate([frame(1), frame(2), frame(3)], kind, 1))) as opened:
        assert opened.info["loop"] == 0
        durations = []
        for number in range(3):
            opened.seek(number)
            opened.load()
            durations.append(opened.info["duration"])
    assert durations[0] == durations[1] < durations[2]


def test_sprites_stand_in_rows_with_nothing_between() -> None:
    sprites = np.full((5, 16, 16, 4), 255, dtype=np.uint8)
    sheet = arrange(sprites, 3)
    assert sheet.shape == (16 * 2 + 1, 16 * 3 + 2, 4)
    assert (sheet[..., 3] == 255).sum() == 5 * 16 * 16
    assert not sheet[16].any()
    assert not sheet[:, 16].any()
    assert arrange(sprites[:2], 8).shape == (16, 33, 4)
