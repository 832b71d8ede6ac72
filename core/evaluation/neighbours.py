"""The training sprite that is nearest to a sprite, found by a coarse print of its pixels."""

import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from core.errors import ModelError, UsageError

COARSE = 8
"""With prints of 8 x 8 x 4 bytes every sum below is a whole number under 2^24: exact anywhere."""

_FINEST = 64
_BLOCK = 1024
_AROUND = 50
_TINY = 1e-9
_KEY = "spritemill-neighbours"
_BUNDLED = Path(__file__).parents[1] / "weights" / "neighbours-32.safetensors"


class Neighbours:
    """Prints [N, S, S, 4] of training sprites with their `names` and `classes`, not the sprites."""

    def __init__(
        self, prints: NDArray[np.uint8], names: Sequence[str], classes: Sequence[str]
    ) -> None:
        self.names = tuple(names)
        self.classes = tuple(classes)
        self.prints = prints
        self._flat = prints.reshape(len(prints), -1).astype(np.float32)
        self._squares = _squares(self._flat)

    def nearest(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """How far the nearest training sprite is from each of images [N, H, W, 4], and its place.

        The distance is the root mean square over the print's pixels and channels, in 1/255; of a
        sprite and its mirror image the nearer counts. One without a clear pixel is compared with
        sprites on black. Raises UsageError for a size that prints cannot divide.
        """
        least = np.zeros(len(images), dtype=np.float32)
        where = np.zeros(len(images), dtype=np.int64)
        for rows, gaps in self._gaps(images):
            where[rows] = gaps.argmin(axis=1)
            least[rows] = gaps[np.arange(len(gaps)), where[rows]]
        return least, where

    def relatively(
        self, images: NDArray[np.uint8], distinct: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As `nearest`, but the distance is a share of the mean of those to the 50 nearest of the
        `distinct` training sprites: 0 of a copy, near 1 of one like many or like none.

        A dark or plain sprite is near to all that are dark or plain, and no copy of one: hence the
        share. Source: Carlini et al. 2023 (arXiv:2301.13188), their distance for small images;
        near-duplicates should count once there, or a copy of one of many would not be told.
        """
        shares = np.zeros(len(images), dtype=np.float32)
        where = np.zeros(len(images), dtype=np.int64)
        around = min(_AROUND, len(distinct))
        for rows, gaps in self._gaps(images):
            where[rows] = gaps.argmin(axis=1)
            near = np.partition(gaps[:, distinct], around - 1, axis=1)[:, :around]
            least = gaps[np.arange(len(gaps)), where[rows]]
            shares[rows] = least / np.maximum(near.mean(axis=1), _TINY)
        return shares, where

    def _gaps(
        self, images: NDArray[np.uint8]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Some rows of the images [B], and how far they are from every training sprite [B, N]."""
        opaque = (images[..., 3] == 255).all(axis=(1, 2))
        for on_black in (False, True):
            among = np.flatnonzero(opaque == on_black)
            for start in range(0, len(among), _BLOCK):
                rows = among[start : start + _BLOCK]
                yield rows, (self._on_black if on_black else self)._distances(images[rows])

    @functools.cached_property
    def _on_black(self) -> Self:
        if (self.prints[..., 3] == 255).all():
            return self
        ground = self.prints.copy()
        ground[..., 3] = 255  # a premultiplied colour is the colour on black
        return type(self)(ground, self.names, self.classes)

    def _distances(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The distance to every print [B, N], of each sprite or of its mirror image."""
        straight = prints(images, self.prints.shape[1]).astype(np.float32)
        views = (straight, straight[:, :, ::-1])
        least = np.minimum(*(self._squared(view.reshape(len(images), -1)) for view in views))
        return np.asarray(np.sqrt(np.maximum(least, 0) / self._flat.shape[1]))

    def _squared(self, flat: NDArray[np.float32]) -> NDArray[np.float64]:
        products = (flat @ self._flat.T).astype(np.float64)
        return np.asarray(_squares(flat)[:, None] + self._squares - 2 * products)


def prints(images: NDArray[np.uint8], side: int = COARSE) -> NDArray[np.uint8]:
    """Premultiplied means [N, side, side, 4] over equal blocks of sprites [N, H, W, 4]."""
    count, height, width = images.shape[:3]
    if height % side or width % side:
        raise UsageError(
            f"sprites of {width} x {height} pixels: prints need a multiple of {side} each way."
        )
    whole = images.astype(np.uint32)
    whole[..., :3] *= whole[..., 3:]
    whole[..., 3] *= 255
    blocks = whole.reshape(count, side, height // side, side, width // side, 4).sum(axis=(2, 4))
    area = (height // side) * (width // side) * 255
    means: NDArray[np.uint8] = ((blocks + area // 2) // area).astype(np.uint8)
    return means


def fine_prints(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Prints of sprites [N, S, S, 4]: their very pixels, or those of a size of 64 at most."""
    size = images.shape[1]
    return prints(images, max(side for side in range(1, _FINEST + 1) if size % side == 0))


def bundled_neighbours() -> Neighbours:
    """The prints of the sprites that the bundled model was trained on."""
    return load_neighbours(_BUNDLED)


def load_neighbours(path: Path) -> Neighbours:
    """Raises ModelError."""
    try:
        with safe_open(path, framework="numpy") as file:
            told = json.loads((file.metadata() or {})[_KEY])
            return Neighbours(file.get_tensor("prints"), told["names"], told["classes"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"{path} holds no prints of training sprites: {error}.",
            remedy="Install Spritemill again.",
        ) from error


def save_neighbours(path: Path, neighbours: Neighbours) -> None:
    told = json.dumps({"names": neighbours.names, "classes": neighbours.classes})
    partial = path.with_name(path.name + ".part")
    save_file({"prints": neighbours.prints}, partial, metadata={_KEY: told})
    partial.chmod(0o644)  # safetensors lets nobody else read what it writes
    partial.replace(path)


def _squares(flat: NDArray[np.float32]) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", flat, flat).astype(np.float64)
    return squares
