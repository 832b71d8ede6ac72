"""The export itself: one pass over the shards, whose samples go to the pieces that lack."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.dataset import reader
from core.dataset.export import claim, repainting
from core.dataset.export.format import NO_CLASS, Format, Job, Piece, Sample, Writing
from core.dataset.export.formats import named
from core.dataset.export.naming import Pattern
from core.dataset.export.options import Options
from core.dataset.export.selection import LEFT_OUT, Selection, select
from core.dataset.layout import INDEX
from core.dataset.manifest import Manifest
from core.dataset.record import Record
from core.dataset.source import CHUNK, Source, read_manifest, stream
from core.errors import CorruptError, RequestError
from core.storage import Store
from core.storage.files import disk_errors

_SCRATCH = "the folder for temporary files"
_TOLD = 256

OnStage = Callable[[str, int, int], None]
"""Called with what is being done, the sprites that are done and the sprites there are."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it: sprites by part, near-duplicates left out, and files written this time."""

    samples: dict[str, int]
    duplicates: int
    pieces: int
    written: int


def export(
    source: Source,
    out: Store,
    place: str,
    name: str,
    options: Options,
    on_stage: OnStage = lambda _stage, _done, _total: None,
) -> Exported:
    """Write a dataset to `out`, which is at `place`, in the format of that name.

    Begun again, it goes on: a file that is there is not made again.

    Memory holds a few bytes for each sprite and one piece's unwritten rows for each part of the
    split. Raises NotFoundError when the dataset is unfinished, ConflictError when `out` holds
    anything else, RequestError for options that cannot be, CorruptError.
    """
    kind = named(name)
    manifest = read_manifest(source)
    with disk_errors(_SCRATCH), tempfile.TemporaryDirectory(prefix="spritemill-") as folder:
        scratch = Path(folder)
        index = _index(source, manifest, scratch)
        claim.refuse_others(out, place, name, manifest, options)
        selection = select(
            source, manifest, index, options, lambda *count: on_stage("comparing", *count)
        )
        claim.put(out, name, manifest, options)
        options = _with_colours(source, manifest, options, selection, on_stage)
        size = manifest.model.size * options.scale
        job = Job(manifest, options, selection, size, out, scratch)
        run = _Run(source, job, kind, on_stage)
        try:
            run.write()
        except RequestError:
            begun = any(out.head(kind.proof(piece)) for piece in run.pieces)
            if not begun:  # the mended command may come here
                out.delete(claim.MARKER)
            raise
        kind.conclude(run.pieces, job)
    return Exported(selection.counts(), selection.duplicates, len(run.pieces), run.written)


class _Part:
    """One part of the split: its pieces, those that lack, and the one that is being written."""

    def __init__(self, name: str, total: int, only: bool, kind: Format, job: Job) -> None:
        capacity = kind.capacity(job.size)
        count = -(-total // capacity)
        self.pieces = [
            Piece(name, only, number, count, min(capacity, total - number * capacity))
            for number in range(count)
        ]
        self.lacking = [job.out.head(kind.proof(piece)) is None for piece in self.pieces]
        self.written = 0
        self._capacity, self._kind, self._job = capacity, kind, job
        self._done = 0
        self._left = 0  # of the piece that is being written or passed over
        self._writing: Writing | None = None

    def lacks(self, count: int) -> bool:
        """Whether any of the next `count` samples belongs to a piece that is not there."""
        first, behind = self._done // self._capacity, -(-(self._done + count) // self._capacity)
        return count > 0 and any(self.lacking[first:behind])

    def skip(self, count: int) -> None:
        """Pass over samples of pieces that are there."""
        if count:
            self._done += count
            self._left = -self._done % self._capacity

    def take(self, sample: Callable[[], Sample]) -> None:
        """Write the next sample, which is only made if its piece lacks."""
        if not self._left:
            number = self._done // self._capacity
            piece = self.pieces[number]
            self._left = piece.samples
            self._writing = self._kind.begin(piece, self._job) if self.lacking[number] else None
        self._done += 1
        self._left -= 1
        if self._writing is None:
            return
        self._writing.add(sample())
        if not self._left:
            self._writing.finish()
            self._writing = None
            self.written += 1


class _Run:
    """The pass over the shards; shards of which every piece is there are not read."""

    def __init__(self, source: Source, job: Job, kind: Format, on_stage: OnStage) -> None:
        self._source, self._job = source, job
        self._on_stage = on_stage
        self._pattern = Pattern(job.options.name)
        self._repaints = job.options.repaints
        counts = job.selection.counts()
        only = len(counts) == 1
        self._parts = [_Part(name, count, only, kind, job) for name, count in counts.items()]
        self._total = sum(counts.values())
        self._done = 0

    @property
    def pieces(self) -> list[Piece]:
        return [piece for part in self._parts for piece in part.pieces]

    @property
    def written(self) -> int:
        return sum(part.written for part in self._parts)

    def write(self) -> None:
        start = 0
        for shard in self._job.manifest.shards:
            chosen = self._job.selection.parts[start : start + shard.samples]
            start += shard.samples
            counts = [int(np.count_nonzero(chosen == each)) for each in range(len(self._parts))]
            parts = list(zip(self._parts, counts, strict=True))
            if not any(part.lacks(count) for part, count in parts):
                for part, count in parts:
                    part.skip(count)
                self._tell(sum(counts))
                continue
            pairs = reader.shard_pictures(self._source, shard, self._job.manifest.model.size)
            self._shard(chosen, pairs)

    def _shard(self, chosen: NDArray[np.uint8], pairs: Iterator[tuple[Record, bytes]]) -> None:
        places = chosen.tolist()
        count = 0
        for count, (record, picture) in enumerate(pairs, start=1):
            if count > len(places):
                break
            if places[count - 1] != LEFT_OUT:
                part = self._parts[places[count - 1]]
                part.take(partial(self._sample, record, picture))
                self._tell(1)
        if count != len(places):
            raise CorruptError(
                f"a shard does not hold the {len(places):,} samples that the manifest says.",
                remedy="Run `spritemill verify`, then fetch the dataset again.",
            )

    def _tell(self, more: int) -> None:
        self._done += more
        if more > 1 or self._done % _TOLD == 0 or self._done == self._total:
            self._on_stage("writing", self._done, self._total)

    def _sample(self, record: Record, picture: bytes) -> Sample:
        options = self._job.options
        if self._repaints:
            colours = options.palette if isinstance(options.palette, tuple) else None
            size = self._job.manifest.model.size
            picture, sha256 = repainting.repaint(picture, size, colours, options.scale)
            record = replace(record, sha256=sha256)
        if not self._pattern.keeps:
            record = replace(record, key=self._pattern.name(record))
        label = self._job.labels.get(record.class_name, NO_CLASS)
        return Sample(record, picture, self._job.size, label)


def _index(source: Source, manifest: Manifest, scratch: Path) -> Path:
    """A copy of the index that can be read at random. Raises CorruptError."""
    path = scratch / INDEX
    wanted = next((file.sha256 for file in manifest.files if file.name == INDEX), None)
    with stream(source, INDEX, lambda _count: None) as opened, path.open("wb") as copy:
        while chunk := opened.read(CHUNK):
            copy.write(chunk)
        if opened.drain() != wanted:
            raise CorruptError(
                f"{INDEX} is not the file that the manifest names.",
                remedy="Run `spritemill repair`, or fetch the dataset again.",
            )
    return path


def _with_colours(
    source: Source,
    manifest: Manifest,
    options: Options,
    selection: Selection,
    on_stage: OnStage,
) -> Options:
    """The same options with a palette of colours in the place of their number."""
    if not isinstance(options.palette, int):
        return options

    def images() -> Iterator[NDArray[np.uint8]]:
        for place, (_, pixels) in enumerate(reader.sprites(source, manifest)):
            on_stage("choosing colours", place + 1, manifest.samples)
            if selection.parts[place] != LEFT_OUT:
                yield pixels

    total = sum(selection.counts().values())
    colours = repainting.choose(images(), total, options.palette)
    return replace(options, palette=colours)
