"""Reading a picture of any mode, made by whomever."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError


def read(
    file: Path | BinaryIO, longest: int, formats: tuple[str, ...] | None = None
) -> NDArray[np.uint8]:
    """The pixels [H, W, 4] of a picture's first frame, at most `longest` each way.

    Raises OSError when it cannot be opened, ValueError when it is too large or no picture.
    """
    try:
        with Image.open(file, formats=formats) as opened:
            if max(opened.size) <= longest:
                return np.asarray(_eight_bits(opened).convert("RGBA"))
            width, height = opened.size
    except UnidentifiedImageError as error:
        raise ValueError("it is no picture that can be read") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"it is too large: {error}") from error
    except Exception as error:  # a broken file can make the reader raise anything
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"it is a broken picture: {error}") from error
    raise ValueError(f"{width} x {height} pixels; it may have {longest} x {longest}")


def _eight_bits(opened: Image.Image) -> Image.Image:
    """Grey of 16 bits by its upper eight: converting would cut it off at 255."""
    if not opened.mode.startswith("I;16"):
        return opened
    return Image.fromarray((np.asarray(opened) >> 8).astype(np.uint8))
