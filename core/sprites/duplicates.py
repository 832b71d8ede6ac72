"""Near-duplicates among very many sprites, exactly, without comparing each with each.

The difference of two sprites is that of `crowd`: the root mean square over pixels and channels, of
255, of what is drawn. No projection on unit directions makes a difference larger, so who is
further apart along some of them is so by pixels. Directions that spread the sprites most (K.
Pearson, "On lines and planes of closest fit", 1901) leave few pairs, whose pixels decide in whole
numbers: what is found depends on no machine's rounding.
"""

import os
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.sprites.crowd import drawn

ALIKE = 4.0
"""Sprites that differ by less are near-duplicates, where nobody says otherwise."""

_BLOCK = 1024
_ROWS, _WINDOW = 256, 4096  # compared at once: what a processor's cache holds
_FITTED = 4096
_BLOCKS = 8
_DIRECTIONS = 16
_STRIPS = 512
_SLACK = 1e-5

Rows = NDArray[np.int64]


def find_near_duplicates(
    images: Iterable[NDArray[np.uint8]], least: float = ALIKE, *, premultiplied: bool = False
) -> list[list[int]]:
    """Groups of places of sprites [S, S, 4] that differ by less than `least`, or not at all.

    A group holds two places or more, ascending: each is a near-duplicate of another one in it.
    Groups stand in the order of their first places. The sprites are read once and go to a
    temporary file; memory holds about 200 bytes for each. Colours that are `premultiplied` by alpha
    are taken as they are.
    """
    with TemporaryFile(prefix="spritemill-") as spill:
        size, prints = _spill(images, spill, premultiplied=premultiplied)
        if not len(prints):
            return []
        _, first, same = np.unique(prints, return_index=True, return_inverse=True)
        del prints
        groups = _Groups(len(first))
        if least > 0:
            pixels = _Pixels(spill.fileno(), size, first.astype(np.int64))
            for ones, others in _candidates(pixels, least):
                _join(groups, pixels, ones, others, least)
    roots = groups.roots(np.arange(len(first)))
    return _listed(roots[same.reshape(-1)])


class _Pixels:
    """Different sprites by number, as drawn, from the file that holds them all."""

    def __init__(self, file: int, size: int, places: Rows) -> None:
        self._file = file
        self._places = places
        self.size = size
        self.length = size * size * 4

    def __len__(self) -> int:
        return len(self._places)

    def read(self, rows: Rows) -> NDArray[np.uint8]:
        """Sprites as rows of bytes [len(rows), S * S * 4]."""
        offsets = (self._places[rows] * self.length).tolist()
        data = b"".join(os.pread(self._file, self.length, offset) for offset in offsets)
        return np.frombuffer(data, dtype=np.uint8).reshape(len(rows), self.length)

    def sums(self, rows: Rows) -> NDArray[np.float32]:
        """Projections [len(rows), 256] on the unit directions of 8 x 8 blocks of pixels."""
        size, block = self.size, -(-self.size // _BLOCKS)
        padded = np.zeros((len(rows), _BLOCKS * block, _BLOCKS * block, 4), dtype=np.float32)
        padded[:, :size, :size] = self.read(rows).reshape(-1, size, size, 4)
        blocks = padded.reshape(-1, _BLOCKS, block, _BLOCKS, block, 4).sum(axis=(2, 4))
        return np.asarray(blocks.reshape(len(rows), -1) / np.float32(block))


class _Groups:
    """Disjoint sets of numbers, each known by its least."""

    def __init__(self, count: int) -> None:
        self._parent = np.arange(count)

    def roots(self, rows: Rows) -> Rows:
        found = self._parent[rows]
        while not np.array_equal(above := self._parent[found], found):
            found = above
        self._parent[rows] = found
        return found

    def join(self, ones: Rows, others: Rows) -> None:
        for pair in zip(ones.tolist(), others.tolist(), strict=True):
            low, high = sorted(int(root) for root in self.roots(np.array(pair)))
            self._parent[high] = low


def _spill(
    images: Iterable[NDArray[np.uint8]], file: BinaryIO, *, premultiplied: bool
) -> tuple[int, NDArray[np.void]]:
    """Write all sprites as drawn; their width and a hash of each."""
    prints, size, rest = bytearray(), 0, iter(images)
    while block := list(islice(rest, _BLOCK)):
        stack = np.stack(block)
        pixels = np.ascontiguousarray(stack if premultiplied else drawn(stack))
        size = pixels.shape[1]
        for sprite in pixels:
            prints += blake2b(sprite.data, digest_size=16).digest()
        file.write(pixels.data)
    file.flush()
    return size, np.frombuffer(prints, dtype="V16")


def _candidates(pixels: _Pixels, least: float) -> Iterator[tuple[Rows, Rows]]:
    """Pairs that may be nearer than `least`; every pair that is so comes once.

    Sprites stand in strips along the first direction, as wide as `least` or wider, and in each
    strip along the second: whoever is near is in this strip or the next, not far up or down.
    """
    radius = least * np.sqrt(pixels.length)
    spread = _projected(pixels)
    extent = float(np.ptp(spread[:, 0]))
    strips = np.floor((spread[:, 0] - spread[:, 0].min()) / max(radius, extent / _STRIPS, 1e-6))
    order = np.lexsort((spread[:, 1], strips))
    spread, strips = spread[order], strips[order]
    squares = np.einsum("ij,ij->i", spread, spread)
    limit = radius**2 + _SLACK * float(squares.max(initial=0.0)) + 1
    starts = np.flatnonzero(np.diff(strips, prepend=-1))
    ends = np.append(starts[1:], len(strips))
    for strip, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        adjoining = strip + 1 < len(starts) and strips[ends[strip]] == strips[start] + 1
        for low in range(start, end, _ROWS):
            ones = slice(low, min(low + _ROWS, end))
            windows = [_window(spread, ones, (low, end), limit)]
            if adjoining:
                windows.append(_window(spread, ones, (end, int(ends[strip + 1])), limit))
            for window in windows:
                for others in _cut(window):
                    gap = (-2 * spread[ones]) @ spread[others].T
                    gap += squares[ones, None]
                    gap += squares[others]
                    a, b = np.nonzero(gap < limit)
                    a, b = a + ones.start, b + others.start
                    yield order[a[a < b]], order[b[a < b]]


def _window(spread: NDArray[np.float32], ones: slice, span: tuple[int, int], limit: float) -> slice:
    """Where in a span, which ascends along the second direction, those near `ones` may be."""
    reach = float(np.sqrt(limit))
    along = spread[slice(*span), 1]
    low = np.searchsorted(along, spread[ones.start, 1] - reach)
    high = np.searchsorted(along, spread[ones.stop - 1, 1] + reach, side="right")
    return slice(span[0] + int(low), span[0] + int(high))


def _cut(window: slice) -> Iterator[slice]:
    for start in range(window.start, window.stop, _WINDOW):
        yield slice(start, min(start + _WINDOW, window.stop))


def _projected(pixels: _Pixels) -> NDArray[np.float32]:
    """Each sprite [N, 16] along the directions in which they are spread most."""
    count = len(pixels)
    some = np.unique(np.linspace(0, count - 1, min(count, _FITTED)).astype(np.int64))
    sample = pixels.sums(some)
    middle = sample.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((sample - middle).astype(np.float64), rowvar=False, bias=True))
    chosen = axes[:, ::-1][:, :_DIRECTIONS].astype(np.float32)
    projected = np.empty((count, _DIRECTIONS), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, count))
        projected[rows] = (pixels.sums(rows) - middle) @ chosen
    return projected


def _join(groups: _Groups, pixels: _Pixels, ones: Rows, others: Rows, least: float) -> None:
    """Put together the pairs whose pixels are near enough, but for those that are already."""
    limit = least**2 * pixels.length
    for start in range(0, len(ones), _BLOCK):
        a, b = ones[start : start + _BLOCK], others[start : start + _BLOCK]
        apart = groups.roots(a) != groups.roots(b)
        a, b = a[apart], b[apart]
        gap = pixels.read(a).astype(np.int32) - pixels.read(b)
        near = np.einsum("ij,ij->i", gap, gap, dtype=np.int64) < limit
        groups.join(a[near], b[near])


def _listed(roots: Rows) -> list[list[int]]:
    """The groups of two or more, by their first places."""
    order = np.argsort(roots, kind="stable")
    cuts = np.flatnonzero(np.diff(roots[order])) + 1
    found = [part.tolist() for part in np.split(order, cuts) if len(part) > 1]
    return sorted(found)
