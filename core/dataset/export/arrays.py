"""Arrays of NumPy: `sprites.npy`, N x H x W x 3 bytes, and `labels.npy`, N x K one-hots.

K are the contexts that were exported, named in `labels.json`. Where there is a split, each part
has a folder of its own, with the names too.
"""

import json
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from core.dataset.export.format import Job, Piece, Sample
from core.errors import Fault, RequestError

SPRITES, LABELS, NAMES = "sprites.npy", "labels.npy", "labels.json"
MOST_LABEL_BYTES = 2**32


class Arrays:
    """What courses on diffusion begin with."""

    def capacity(self, size: int) -> int:  # noqa: ARG002  # one array holds them all
        return sys.maxsize

    def proof(self, piece: Piece) -> str:
        return _file(piece, LABELS)

    def begin(self, piece: Piece, job: Job) -> "_Writing":
        return _Writing(piece, job)

    def conclude(self, pieces: list[Piece], job: Job) -> None:
        about = {
            "contexts": list(job.contexts.values()),
            "background": job.options.background,
            "size": job.size,
            "samples": {piece.split: piece.samples for piece in pieces},
        }
        for name in dict.fromkeys([NAMES, *(_file(piece, NAMES) for piece in pieces)]):
            job.put_json(name, json.dumps(about, indent=1, ensure_ascii=False) + "\n")


class _Writing:
    def __init__(self, piece: Piece, job: Job) -> None:
        self._columns = {name: place for place, name in enumerate(job.contexts)}
        size = piece.samples * len(self._columns)
        if size > MOST_LABEL_BYTES:
            problem = f"one-hots of {len(self._columns):,} contexts would have {size:,} bytes"
            remedy = "Choose fewer contexts by --where, or another format."
            raise RequestError([Fault("format", "numpy", problem, remedy)])
        self._piece = piece
        self._job = job
        self._background = np.frombuffer(bytes.fromhex(job.options.background[1:]), np.uint8)
        self._sprites = self._opened(SPRITES, (piece.samples, job.size, job.size, 3))
        self._labels = self._opened(LABELS, (piece.samples, len(self._columns)))
        self._none = bytes(len(self._columns))

    def add(self, sample: Sample) -> None:
        self._sprites.write(on_background(sample.pixels, self._background).data)
        column = self._columns[sample.record.context_id]
        self._labels.write(self._none[:column] + b"\1" + self._none[column + 1 :])

    def finish(self) -> None:
        for name, file in ((SPRITES, self._sprites), (LABELS, self._labels)):
            file.close()
            self._job.out.put_file(_file(self._piece, name), self._path(name))
            self._path(name).unlink()

    def _path(self, name: str) -> Path:
        return self._job.scratch / f"{self._piece.split}-{name}"

    def _opened(self, name: str, shape: tuple[int, ...]) -> BinaryIO:
        file = self._path(name).open("wb")
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(file, header)
        return file


def _file(piece: Piece, name: str) -> str:
    return name if piece.only else f"{piece.split}/{name}"


def on_background(rgba: NDArray[np.uint8], background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB [..., 3] of pixels [..., 4], not premultiplied, over a colour [3]."""
    cover = rgba[..., 3:].astype(np.uint32)
    mixed = rgba[..., :3] * cover + background * (255 - cover)
    return ((mixed + 127) // 255).astype(np.uint8)
