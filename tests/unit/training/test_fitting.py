"""Pictures of any size and mode, brought to one size without a blurred pixel."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.errors import UsageError
from core.training.fitting import fit, load


def checks(height: int, width: int, alpha: int = 255) -> NDArray[np.uint8]:
    """Each pixel of a colour of its own."""
    image = np.zeros((height, width, 4), dtype=np.uint8)
    image[..., 0], image[..., 1] = np.indices((height, width))
    image[..., 2:] = 200, alpha
    return image


def colours(image: NDArray[np.uint8]) -> set[bytes]:
    return {pixel.tobytes() for pixel in image.reshape(-1, 4)}


def test_a_sprite_of_the_size_stays_as_it_is() -> None:
    assert np.array_equal(fit(checks(16, 16), 16), checks(16, 16))


def test_a_small_sprite_is_enlarged_by_a_whole_factor() -> None:
    found = fit(checks(8, 8), 32)
    assert np.array_equal(found, checks(8, 8).repeat(4, axis=0).repeat(4, axis=1))


def test_a_sprite_that_no_factor_fits_is_centred_on_clear_pixels() -> None:
    image = checks(10, 6)
    image[0, 0, 3] = 0
    found = fit(image, 16)
    assert np.array_equal(found[3:13, 5:11], image)
    assert (found[..., 3] > 0).sum() == 59


def test_an_opaque_picture_is_centred_on_its_own_colour() -> None:
    found = fit(checks(12, 12), 16)
    assert (found[..., 3] == 255).all()
    assert found[0, 0].tolist() == [0, 0, 200, 255]


@pytest.mark.parametrize("shape", [(64, 64), (100, 40), (33, 33)])
def test_a_large_picture_is_reduced_to_pixels_of_its_own(shape: tuple[int, int]) -> None:
    image = checks(*shape, alpha=254)
    found = fit(image, 16)
    drawn = found[found[..., 3] > 0]
    assert colours(drawn) <= colours(image)
    assert drawn.size >= 4 * 16 * 6
    assert found.shape == (16, 16, 4)


def test_half_the_size_takes_every_second_pixel() -> None:
    assert np.array_equal(fit(checks(32, 32), 16), checks(32, 32)[1::2, 1::2])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_every_mode_is_read(tmp_path: Path, mode: str) -> None:
    Image.new("RGBA", (4, 3), (255, 255, 255, 255)).convert(mode).save(tmp_path / "x.png")
    found = load(tmp_path / "x.png")
    assert found.shape == (3, 4, 4)
    assert (found[..., 3] == 255).all()


def test_transparent_palette_stays_transparent(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "x.png", transparency=0)
    assert load(tmp_path / "x.png").tolist() == [[[255, 0, 0, 0], [0, 255, 0, 255]]]


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    with pytest.raises(UsageError, match=r"x\.png: it is no picture"):
        load(tmp_path / "x.png")


def test_grey_of_sixteen_bits_is_the_same_grey_of_eight(tmp_path: Path) -> None:
    shades = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(shades.astype(np.uint16) << 8 | shades).save(tmp_path / "deep.png")
    Image.fromarray(shades).save(tmp_path / "plain.png")
    assert np.array_equal(load(tmp_path / "deep.png"), load(tmp_path / "plain.png"))


def test_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (20_000, 1)).save(tmp_path / "wide.png")
    with pytest.raises(UsageError, match=r"wide.png: 20000 x 1 pixels"):
        load(tmp_path / "wide.png")
