import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from core.dataset import png
from core.errors import CorruptError

SPRITE = np.random.default_rng(0).integers(0, 256, (32, 32, 4), dtype=np.uint8)


@given(arrays(np.uint8, st.tuples(st.just(7), st.just(7), st.just(4))))
def test_pixels_come_back_as_they_were(pixels: np.ndarray) -> None:
    assert np.array_equal(png.decode(png.encode(pixels), 7), pixels)


def test_pillow_reads_the_same_pixels() -> None:
    with Image.open(BytesIO(png.encode(SPRITE))) as image:
        assert image.mode == "RGBA"
        assert np.array_equal(np.asarray(image), SPRITE)


def test_noise_stays_within_the_bound() -> None:
    assert len(png.encode(SPRITE)) <= png.bound(32)


def test_every_flipped_byte_is_noticed() -> None:
    good = png.encode(SPRITE[:8, :8])
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1
        with pytest.raises(CorruptError):
            png.decode(bytes(bad), 8)


@pytest.mark.parametrize("cut", [0, 1, 20, 50, -1])
def test_truncated_file_is_refused(cut: int) -> None:
    with pytest.raises(CorruptError):
        png.decode(png.encode(SPRITE)[:cut], 32)


def test_other_size_is_refused() -> None:
    with pytest.raises(CorruptError, match="16 x 16"):
        png.decode(png.encode(SPRITE), 16)


def test_filtered_rows_are_refused() -> None:
    rows = b"".join(b"\x01" + row.tobytes() for row in SPRITE)
    with pytest.raises(CorruptError, match="filtered"):
        png.decode(_file(zlib.compress(rows)), 32)


def test_pixels_that_cannot_be_unpacked_are_refused() -> None:
    with pytest.raises(CorruptError, match="cannot be unpacked"):
        png.decode(_file(b"no deflate"), 32)


def test_bomb_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(20 * 2**20))
    with pytest.raises(CorruptError, match="does not hold"):
        png.decode(_file(bomb), 32)


def _file(packed: bytes) -> bytes:
    """A PNG file of 32 x 32 with any pixels, its checksums right."""
    chunk = b"IDAT" + packed
    head, tail = png.encode(SPRITE)[:33], png.encode(SPRITE)[-12:]
    return (
        head + struct.pack(">I", len(packed)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + tail
    )
