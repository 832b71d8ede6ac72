"""What every format keeps to: it writes pieces, each of a few files, and then what belongs to all.

A format is one module. It is told each sample once, in the dataset's order, by part of the split.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.dataset import png
from core.dataset.export.options import Options
from core.dataset.export.selection import Selection
from core.dataset.manifest import Manifest
from core.dataset.record import Record
from core.storage import Store

NO_CLASS = -1
"""The label, as in other data sets, of what has none."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A sprite as it leaves: the record's key and hash are those of the export.

    `label` is the place of its class among the model's, NO_CLASS without one.
    """

    record: Record
    picture: bytes
    size: int
    label: int

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """RGBA [size, size, 4]."""
        return png.decode(self.picture, self.size)


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of the samples of one part of the split: piece `number` of `of`.

    `only` tells that there is no other part.
    """

    split: str
    only: bool
    number: int
    of: int
    samples: int


@dataclass(frozen=True)
class Job:
    """One export: from what, by which options, to where. Sprites leave as squares of `size`."""

    manifest: Manifest
    options: Options
    selection: Selection
    size: int
    out: Store
    scratch: Path

    @cached_property
    def labels(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.manifest.model.classes)}

    @cached_property
    def contexts(self) -> dict[str, str]:
        """The contexts that are exported, each id with its label, in order."""
        return self.selection.contexts()

    def put_json(self, name: str, text: str) -> None:
        self.out.put(name, text.encode(), content_type="application/json")


class Writing(Protocol):
    """A piece that is being written."""

    def add(self, sample: Sample) -> None:
        """Take the next sample."""

    def finish(self) -> None:
        """Put the piece's files, last the one that proves it."""


class Format(Protocol):
    """How samples become files of one kind."""

    def capacity(self, size: int) -> int:
        """The most samples in a piece."""

    def proof(self, piece: Piece) -> str:
        """The file whose being there shows that a piece is finished."""

    def begin(self, piece: Piece, job: Job) -> Writing:
        """Start to write a piece."""

    def conclude(self, pieces: list[Piece], job: Job) -> None:
        """Write what is made once, when all pieces are there."""
