"""Pictures for requests, and the files that hold them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.request import images


def sprite(size: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    """Random colours, the right third transparent."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[:, 2 * size // 3 :] = 0
    return pixels


def lower_half(size: int = 32) -> NDArray[np.uint8]:
    """A mask: the lower half is drawn anew."""
    mask = np.zeros((size, size), dtype=np.uint8)
    mask[size // 2 :] = 255
    return mask


def data(pixels: NDArray[np.uint8], folder: Path) -> str:
    """A picture as a request holds it."""
    Image.fromarray(pixels).save(folder / "picture.png")
    values = {"contexts": [{"image": "picture.png"}]}
    found: str = images.inline(values, folder)["contexts"][0]["image"]
    return found
