"""Palettes: snapping sprites to one, by nearest colour as people see it, and choosing one.

Source: B. Ottosson, "A perceptual color space for image processing" (OKLab), 2020.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLOCK = 2**14
_STEPS = 4096  # of OKLab's unit
_ROUNDS = 4
_ALIKE = 0.03
"""Colours of one sprite whose distances in OKLab stay about below this become one colour."""


def snap(rgba: NDArray[np.uint8], palette: Sequence[str]) -> NDArray[np.uint8]:
    """Pixels [..., 4] with each colour replaced by the nearest of `palette` ("#rrggbb").

    Alpha stays, and so do pixels that are fully transparent. Of equally near colours the first
    is taken. A pixel's result depends on that pixel alone.
    """
    colours = np.array([_rgb(text) for text in palette], dtype=np.uint8)
    seen, values, where, _ = _distinct(rgba)
    return _painted(rgba, seen, colours[_nearest(values, colours)][where])


def choose(rgba: NDArray[np.uint8], count: int) -> tuple[str, ...]:
    """At most `count` colours ("#rrggbb") that stand best for those of pixels [..., 4].

    Each is one of theirs. Pixels that are fully transparent have no say; without others, black.
    """
    _, values, _, weights = _distinct(rgba)
    if not len(values):
        return ("#000000",)
    places = np.unique(_clustered(_oklab(values), weights, count, 0.0))
    return tuple(f"#{bytes(values[place]).hex()}" for place in places)


def flatten(rgba: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Sprites [N, H, W, 4], each in at most `count` of its own colours, fewer if they are alike.

    Alpha stays, and so do pixels that are fully transparent.
    """
    flattened = [_flattened(sprite, count) for sprite in rgba]
    return np.stack(flattened) if flattened else rgba.copy()


def _flattened(sprite: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    seen, values, where, weights = _distinct(sprite)
    if not len(values):
        return sprite
    standing = _clustered(_oklab(values), weights, count, _ALIKE * _STEPS)
    return _painted(sprite, seen, values[standing][where])


def _distinct(
    rgba: NDArray[np.uint8],
) -> tuple[NDArray[np.bool_], NDArray[np.uint8], NDArray[np.intp], NDArray[np.int64]]:
    """Which pixels are seen; their colours [M, 3], which of them each has, and how many have it."""
    flat = rgba.reshape(-1, 4)
    seen = flat[:, 3] > 0
    packed = flat[seen, :3].astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    found, where, weights = np.unique(packed, return_inverse=True, return_counts=True)
    values = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1).astype(np.uint8)
    return seen, values, where, weights.astype(np.int64)


def _painted(
    rgba: NDArray[np.uint8], seen: NDArray[np.bool_], colours: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    painted = rgba.reshape(-1, 4).copy()
    painted[seen, :3] = colours
    return painted.reshape(rgba.shape)


def _clustered(
    lab: NDArray[np.int64], weights: NDArray[np.int64], count: int, alike: float
) -> NDArray[np.intp]:
    """For each of lab [M, 3] the place of the one that stands for it: at most `count` do.

    k-means from a start by splitting, until no cluster deviates by more than `alike` (root mean
    square). All sums are of whole numbers: the same on every machine.
    Source: S. Lloyd, "Least squares quantization in PCM", 1982.
    """
    owner = _split(lab, weights, count, alike)
    for _ in range(_ROUNDS):
        centres = _centres(lab, weights, owner)
        _, nearer = np.unique(_nearest_centre(lab, centres), return_inverse=True)
        if np.array_equal(nearer, owner):
            break
        owner = nearer
    centres = _centres(lab, weights, owner)
    far = ((lab - centres[owner]) ** 2).sum(axis=1)
    order = np.lexsort((np.arange(len(lab)), far, owner))
    _, first = np.unique(owner[order], return_index=True)
    standing: NDArray[np.intp] = order[first][owner]
    return standing


def _split(
    lab: NDArray[np.int64], weights: NDArray[np.int64], count: int, alike: float
) -> NDArray[np.intp]:
    """Clusters [M], from 0: that with the largest error is cut at its mean, where it is longest."""
    owner = np.zeros(len(lab), dtype=np.intp)
    spreads = [_spread(lab, weights)]
    for new in range(1, min(count, len(lab))):
        worst = max(range(new), key=lambda each: int(spreads[each].sum()))
        inside = np.flatnonzero(owner == worst)
        if spreads[worst].sum() <= alike**2 * weights[inside].sum():
            break
        axis = int(spreads[worst].argmax())
        values = lab[inside, axis]
        middle = int(values @ weights[inside]) // int(weights[inside].sum())
        owner[inside[values > middle]] = new
        spreads[worst] = _spread(lab[owner == worst], weights[owner == worst])
        spreads.append(_spread(lab[owner == new], weights[owner == new]))
    return owner


def _spread(lab: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """The weighted squared deviations from the mean [3], along each axis."""
    gaps = lab - weights @ lab // weights.sum()
    spread: NDArray[np.int64] = weights @ gaps**2
    return spread


def _centres(
    lab: NDArray[np.int64], weights: NDArray[np.int64], owner: NDArray[np.intp]
) -> NDArray[np.int64]:
    """The weighted means [C, 3] of the clusters, in whole steps."""
    total = np.bincount(owner, weights=weights)
    sums = [np.bincount(owner, weights=lab[:, axis] * weights) for axis in range(3)]
    return np.floor_divide(np.stack(sums, axis=1), total[:, None]).astype(np.int64)


def _nearest_centre(lab: NDArray[np.int64], centres: NDArray[np.int64]) -> NDArray[np.intp]:
    """As `_nearest`, of few colours. In floats, for speed: all their values are whole and exact."""
    squares, across = (centres**2).sum(axis=1), centres.T.astype(np.float64)
    nearest = np.empty(len(lab), dtype=np.intp)
    for start in range(0, len(lab), _BLOCK):
        products = lab[start : start + _BLOCK].astype(np.float64) @ across
        nearest[start : start + _BLOCK] = (squares - 2 * products).argmin(axis=1)
    return nearest


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
    """OKLab of sRGB [N, 3] in whole steps: distances are exact on every machine."""
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
    steps: NDArray[np.int64] = np.rint(np.stack(lab, axis=1) * _STEPS).astype(np.int64)
    return steps
