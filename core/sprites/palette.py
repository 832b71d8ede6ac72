"""Snapping sprites to a fixed palette, by nearest colour as people see it.

Source: B. Ottosson, "A perceptual color space for image processing" (OKLab), 2020.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLOCK = 2**14


def snap(rgba: NDArray[np.uint8], palette: Sequence[str]) -> NDArray[np.uint8]:
    """Pixels [..., 4] with each colour replaced by the nearest of `palette` ("#rrggbb").

    Alpha stays, and so do pixels that are fully transparent. Of equally near colours the first
    is taken. A pixel's result depends on that pixel alone.
    """
    colours = np.array([_rgb(text) for text in palette], dtype=np.uint8)
    flat = rgba.reshape(-1, 4)
    seen = flat[:, 3] > 0
    packed = flat[seen, :3].astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    values, where = np.unique(packed, return_inverse=True)
    distinct = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=1).astype(np.uint8)
    snapped = flat.copy()
    snapped[seen, :3] = colours[_nearest(distinct, colours)][where]
    return snapped.reshape(rgba.shape)


def _rgb(text: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(text.removeprefix("#")))


def _nearest(values: NDArray[np.uint8], colours: NDArray[np.uint8]) -> NDArray[np.intp]:
    """For each of values [N, 3] the place of the nearest of colours [M, 3]."""
    wanted, given = _oklab(colours), _oklab(values)
    found = np.empty(len(values), dtype=np.intp)
    for start in range(0, len(values), _BLOCK):
        block = given[start : start + _BLOCK, None]
        found[start : start + _BLOCK] = ((block - wanted) ** 2).sum(axis=2).argmin(axis=1)
    return found


def _oklab(rgb: NDArray[np.uint8]) -> NDArray[np.int64]:
    """OKLab of sRGB [N, 3] in whole steps of 1/4096: distances are exact on every machine."""
    c = rgb / 255.0
    r, g, b = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).T
    long = np.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    medium = np.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = np.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    lab = [
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    ]
    steps: NDArray[np.int64] = np.rint(np.stack(lab, axis=1) * 4096).astype(np.int64)
    return steps
