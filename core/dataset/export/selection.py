"""Which sprites an export holds, and in which part of its split each is."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.dataset import index, reader
from core.dataset.export.naming import Pattern
from core.dataset.export.options import Options
from core.dataset.export.splitting import split
from core.dataset.export.where import Where, parse
from core.dataset.manifest import Manifest
from core.dataset.record import Record
from core.dataset.source import OnProgress, Source
from core.errors import CorruptError, Fault, RequestError
from core.sprites.duplicates import find_near_duplicates

LEFT_OUT = 255
_BATCH = 2**14


@dataclass(frozen=True, slots=True)
class Selection:
    """`parts` [N] has the place in `splits` of each sprite of the dataset, or LEFT_OUT."""

    splits: tuple[str, ...]
    parts: NDArray[np.uint8]
    index: Path
    duplicates: int = 0

    def counts(self) -> dict[str, int]:
        """How many sprites each part has."""
        return {
            name: int(np.count_nonzero(self.parts == place))
            for place, name in enumerate(self.splits)
        }

    def contexts(self) -> dict[str, str]:
        """The contexts that were chosen, each id with its label, in the dataset's order."""
        found: dict[str, str] = {}
        for start, batch in _batches(self.index):
            kept = batch.filter(pa.array(self.parts[start : start + len(batch)] != LEFT_OUT))
            names = (kept[column].to_pylist() for column in ("context_id", "context"))
            found.update(zip(*names, strict=True))
        return found


def select(
    source: Source,
    manifest: Manifest,
    path: Path,
    options: Options,
    on_progress: OnProgress | None = None,
) -> Selection:
    """Choose by the index at `path`, and by pixels where near-duplicates matter.

    Raises RequestError when nothing is left, or two sprites would have one name; CorruptError.
    """
    where = parse(options.where) if options.where else None
    parts = np.full(manifest.samples, LEFT_OUT, dtype=np.uint8)
    kept = _kept(path, manifest, where)
    if not kept.any():
        problem = "it leaves no sprite" if where else "the dataset holds no sprite"
        raise RequestError([Fault("where", options.where, problem)])
    duplicates = 0
    groups: list[list[int]] = []
    if options.unique or len(options.splits) > 1:
        groups = _near_duplicates(source, manifest, kept, on_progress)
    if options.unique:
        extra = [place for group in groups for place in group[1:]]
        kept[extra] = False
        duplicates, groups = len(extra), []
    parts[kept] = _parts(path, kept, groups, [share for _, share in options.splits])
    names = tuple(name for name, _ in options.splits)
    selection = Selection(names, parts, path, duplicates)
    for name, count in selection.counts().items():
        if not count:
            problem = "its share of the sprites is less than one"
            raise RequestError([Fault("split", name, problem)])
    Pattern(options.name).refuse_bad_names(_records(path, kept))
    return selection


def _kept(path: Path, manifest: Manifest, where: Where | None) -> NDArray[np.bool_]:
    """Which rows of the index are meant [N]."""
    kept = np.ones(manifest.samples, dtype=np.bool_)
    rows = 0
    for start, batch in _batches(path, None if where else ["number"]):
        rows += len(batch)
        if where and rows <= len(kept):
            kept[start:rows] = where.mask(batch)
    if rows != len(kept):
        raise CorruptError(
            f"the index has {rows:,} rows, the manifest {len(kept):,} samples.",
            remedy="Run `spritemill verify`, then fetch the dataset again.",
        )
    if where:
        where.refuse_unknown_scores()
    return kept


def _near_duplicates(
    source: Source, manifest: Manifest, kept: NDArray[np.bool_], on_progress: OnProgress | None
) -> list[list[int]]:
    """Groups of places in the dataset, of the sprites that are kept."""
    places = np.flatnonzero(kept)

    def images() -> Iterator[NDArray[np.uint8]]:
        for place, (_, pixels) in enumerate(reader.sprites(source, manifest)):
            if on_progress:
                on_progress(place + 1, manifest.samples)
            if kept[place]:
                yield pixels

    return [places[group].tolist() for group in find_near_duplicates(images())]


def _parts(
    path: Path, kept: NDArray[np.bool_], groups: list[list[int]], shares: list[float]
) -> NDArray[np.uint8]:
    """The part of each sprite that is kept."""
    if len(shares) == 1:
        return np.zeros(int(kept.sum()), dtype=np.uint8)
    contexts, pixels = (_hashes(path, name, kept) for name in ("context_id", "sha256"))
    place = np.cumsum(kept) - 1
    return split(contexts, pixels, [place[group].tolist() for group in groups], shares)


def _hashes(path: Path, column: str, kept: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """The first 16 hexadecimal digits of a column as numbers, of the rows that are kept."""
    found = (
        int(text[:16], 16)
        for start, batch in _batches(path, [column])
        for text in batch[column].filter(pa.array(kept[start : start + len(batch)])).to_pylist()
    )
    return np.fromiter(found, dtype=np.uint64, count=int(kept.sum()))


def _records(path: Path, kept: NDArray[np.bool_]) -> Iterator[Record]:
    for start, batch in _batches(path):
        rows = batch.filter(pa.array(kept[start : start + len(batch)])).to_pylist()
        yield from map(index.record, rows)


def _batches(path: Path, columns: list[str] | None = None) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Runs of an index's rows, each with the place of its first. Raises CorruptError."""
    start = 0
    try:
        with index.parquet(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
                yield start, batch
                start += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise CorruptError(f"the index cannot be read as Parquet: {error}") from error
