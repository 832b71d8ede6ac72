"""The part to learn from and the part to test on, with no look-alike across the cut."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from core.training.examples import Examples

_BLOCK = 512
_MOST_TESTED = 2000
_MOST_COMPARED = 20_000
"""Of more different sprites than that, only equal ones are grouped; the second look stays."""


def bounded(share: float, count: int) -> float:
    """The share of `count` sprites that is tested on: more than 2,000 would tell nothing more."""
    return min(share, _MOST_TESTED / max(1, count))


def split(examples: Examples, share: float, seed: int = 0) -> tuple[Examples, Examples]:
    """The sprites to learn from and about `share` of them to test on.

    Near-duplicates stay on one side; more of them than that are learnt from. What has a look-alike
    among the sprites to learn from (mirrored, shifted or in other colours) goes back to them, so
    fewer than `share` may be left. Composed sprites are not tested on: their parts are everywhere.
    """
    groups = near_duplicates(examples.images, skip=examples.composed)
    order = np.random.default_rng(seed).permutation(len(groups))
    wanted, held = int(share * len(examples.images)), list[int]()
    for group in order:
        if len(held) >= wanted:
            break
        if len(groups[group]) <= wanted:
            held += groups[group]
    mask = np.zeros(len(examples.images), dtype=bool)
    mask[held] = True
    back = np.flatnonzero(~mask)
    while len(back):  # what goes back may itself have look-alikes that are tested on
        tested = np.flatnonzero(mask)
        back = tested[look_alikes(examples.images[tested], examples.images[back])]
        mask[back] = False
    return examples.take(np.flatnonzero(~mask)), examples.take(np.flatnonzero(mask))


def near_duplicates(
    images: NDArray[np.uint8], skip: NDArray[np.bool_], least: float = 4.0
) -> list[list[int]]:
    """Groups of sprites whose pixels differ by less than `least` of 255 (root mean square)."""
    rows = np.flatnonzero(~skip)
    if not len(rows):
        return []
    _, first, same = _unique(images[rows])
    group = np.arange(len(first))
    if len(first) <= _MOST_COMPARED:
        for a, b in _near(images[rows[first]], least):
            if group[a] != group[b]:
                group[group == group[b]] = group[a]
    members: dict[int, list[int]] = defaultdict(list)
    for row, unique in zip(rows, same, strict=True):
        members[int(group[unique])].append(int(row))
    return list(members.values())


def look_alikes(
    images: NDArray[np.uint8], others: NDArray[np.uint8], least: float = 8.0, close: float = 0.97
) -> NDArray[np.bool_]:
    """Which of `images` are one of `others` moved by a pixel, mirrored or coloured anew.

    Sprites are compared with their drawn parts in the same corner: by their pixels, which may
    differ by `least` of 255 (root mean square), and by shape and shading alone, whose correlation
    must stay below `close`.
    """
    found = np.zeros(len(images), dtype=bool)
    variants = [(rows, _Prints(moved)) for rows, moved in _moved(images)]
    for start in range(0, len(others), _BLOCK):
        block = _Prints(others[start : start + _BLOCK])
        for rows, variant in variants:
            alike = variant.near(block, least) | (variant.shading @ block.shading.T > close)
            found[rows] |= alike.any(axis=1)
    return found


class _Prints:
    """What sprites [N, H, W, 4] are compared by: their pixels, and their shading at unit norm."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        corner = np.array([_cornered(image) for image in images], np.uint8).reshape(images.shape)
        cover = (corner[..., 3:] / 255).astype(np.float32)
        colour = (corner[..., :3] * cover).astype(np.float32)
        self.pixels = np.concatenate([colour, cover * 255], axis=-1).reshape(len(images), -1)
        self.squares = (self.pixels**2).sum(axis=1)
        self.shading = _shading(colour, cover)

    def near(self, other: "_Prints", least: float) -> NDArray[np.bool_]:
        distance = self.squares[:, None] + other.squares - 2 * self.pixels @ other.pixels.T
        return np.asarray(distance < self.pixels.shape[1] * least**2)


def _shading(colour: NDArray[np.float32], cover: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shape, and light and dark within it, each weighing half: [N, 2 * H * W] of unit norm."""
    mask = cover.reshape(len(cover), -1)
    light = colour.mean(axis=-1).reshape(len(cover), -1)
    mean = light.sum(axis=1, keepdims=True) / np.maximum(mask.sum(axis=1, keepdims=True), 1)
    parts = np.stack([mask - 0.5, (light - mean) * mask], axis=1)
    parts /= np.maximum(np.linalg.norm(parts, axis=2, keepdims=True), 1e-6) * np.sqrt(2)
    return parts.reshape(len(cover), -1).astype(np.float32)


def _cornered(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The sprite with its drawn part moved to the upper left corner."""
    ys, xs = np.nonzero(image[..., 3])
    if not len(ys):
        return image
    return np.roll(image, (-int(ys.min()), -int(xs.min())), axis=(0, 1))


def _moved(
    images: NDArray[np.uint8],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Rows and their sprites: as they are and mirrored; opaque ones also moved by a pixel.

    Of sprites with a clear margin the corner takes care of the place.
    """
    opaque = np.flatnonzero(images[..., 3].all(axis=(1, 2)))
    for mirrored in (images, images[:, :, ::-1]):
        if len(images):
            yield np.arange(len(images)), mirrored
        for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)) if len(opaque) else ():
            yield opaque, np.roll(mirrored[opaque], shift, (1, 2))


def _near(images: NDArray[np.uint8], least: float) -> Iterator[tuple[int, int]]:
    """Pairs a > b of sprites that differ by less than `least`."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    squares = (flat**2).sum(axis=1)
    limit = flat.shape[1] * least**2
    for start in range(0, len(flat), _BLOCK):
        block = slice(start, start + _BLOCK)
        distance = squares[block, None] + squares - 2 * flat[block] @ flat.T
        for a, b in np.argwhere(distance < limit):
            if b < a + start:
                yield int(a + start), int(b)


def _unique(
    images: NDArray[np.uint8],
) -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.int64]]:
    """Equal sprites once: themselves, where each is first, and which of them each sprite is."""
    flat = np.ascontiguousarray(images.reshape(len(images), -1))
    return np.unique(flat.view(f"V{flat.shape[1]}")[:, 0], return_index=True, return_inverse=True)
