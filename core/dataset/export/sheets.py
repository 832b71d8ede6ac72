"""Sheets of sprites with an atlas that says where each is, in JSON."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.dataset import png
from core.dataset.export.format import Job, Piece, Sample

SIDE = 2048  # pixels that every graphics card takes


@dataclass(frozen=True, slots=True)
class Frame:
    """A sprite's name and context, and its upper left corner on the sheet."""

    name: str
    context: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """A full sheet, in the file `image`. `others` are the atlases of the part's other sheets."""

    image: str
    width: int
    height: int
    size: int
    frames: tuple[Frame, ...]
    others: tuple[str, ...]


Atlas = Callable[[Sheet], dict[str, Any]]


class Sheets:
    """Sheets of at most 2048 pixels a side, `sprites-0.png` beside `sprites-0.json`."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas

    def capacity(self, size: int) -> int:
        return max(1, SIDE // size) ** 2

    def proof(self, piece: Piece) -> str:
        return _name(piece, piece.number, "json")

    def begin(self, piece: Piece, job: Job) -> "_Writing":
        return _Writing(piece, job, self._atlas)

    def conclude(self, pieces: list[Piece], job: Job) -> None:
        """Sheet and atlas are all there is."""


class _Writing:
    def __init__(self, piece: Piece, job: Job, atlas: Atlas) -> None:
        self._piece, self._job, self._atlas = piece, job, atlas
        self._columns = min(math.isqrt(piece.samples - 1) + 1, max(1, SIDE // job.size))
        rows = -(-piece.samples // self._columns)
        shape = (rows * job.size, self._columns * job.size, 4)
        self._pixels = np.zeros(shape, dtype=np.uint8)
        self._frames: list[Frame] = []

    def add(self, sample: Sample) -> None:
        row, column = divmod(len(self._frames), self._columns)
        size = sample.size
        x, y = column * size, row * size
        self._pixels[y : y + size, x : x + size] = sample.pixels
        name = f"{sample.record.key}.png"
        self._frames.append(Frame(name, sample.record.context_label, x, y))

    def finish(self) -> None:
        piece, out = self._piece, self._job.out
        height, width, _ = self._pixels.shape
        image = _name(piece, piece.number, "png")
        others = tuple(
            _name(piece, number, "json") for number in range(piece.of) if number != piece.number
        )
        sheet = Sheet(image, width, height, self._job.size, tuple(self._frames), others)
        out.put(image, png.encode(self._pixels), content_type="image/png")
        text = json.dumps(self._atlas(sheet), ensure_ascii=False, indent=1)
        self._job.put_json(_name(piece, piece.number, "json"), text + "\n")


def _name(piece: Piece, number: int, suffix: str) -> str:
    part = "sprites" if piece.only else piece.split
    return f"{part}-{number}.{suffix}"


def place(frame: Frame, size: int) -> dict[str, Any]:
    """What both kinds of atlas say of a frame that is neither turned nor trimmed."""
    return {
        "frame": {"x": frame.x, "y": frame.y, "w": size, "h": size},
        "rotated": False,
        "trimmed": False,
        "spriteSourceSize": {"x": 0, "y": 0, "w": size, "h": size},
        "sourceSize": {"w": size, "h": size},
    }


def about(sheet: Sheet) -> dict[str, Any]:
    """What both kinds of atlas say of the sheet."""
    return {
        "app": "spritemill",
        "version": "1.0",
        "image": sheet.image,
        "format": "RGBA8888",
        "size": {"w": sheet.width, "h": sheet.height},
        "scale": "1",
    }
