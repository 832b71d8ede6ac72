"""The index: one Parquet file with a row for each sample, merged from the shards' parts."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset.digest import Digest
from core.dataset.layout import INDEX, part_key, shard_key, shard_name
from core.dataset.manifest import ShardFile
from core.dataset.parts import (
    PART_SCHEMA,
    RECORD_FIELDS,
    REPEATING,
    scores_text,
    split,
    unfilled,
)
from core.dataset.record import Record
from core.dataset.refusals import Refusals, Unfilled
from core.dataset.source import Source
from core.errors import CorruptError
from core.storage import Store

SCHEMA = pa.schema([*RECORD_FIELDS, pa.field("shard", pa.int64(), nullable=False)])
_GROUP_ROWS = 2**16
_ABOUT = b"spritemill"
_LONGEST = 2**29  # of a footer: it holds the manifest, which has at most 2**28 bytes, and more
_FOOTER = {"thrift_string_size_limit": _LONGEST, "thrift_container_size_limit": _LONGEST}


class DoneShard(Protocol):
    """What the ledger knows of a finished shard; the keys are the store's."""

    @property
    def number(self) -> int: ...
    @property
    def samples(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def part_key(self) -> str: ...
    @property
    def samples_digest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A sprite that stands for its context, as a PNG file."""

    context: str
    key: str
    png: bytes


@dataclass(slots=True)
class Merged:
    """What merging the parts showed. `pictures` are for preview and report.

    `refusals` are of the samples that are there, `unfilled` those that are not.
    """

    samples: int = 0
    digest: Digest = field(default_factory=Digest)
    shards: list[ShardFile] = field(default_factory=list)
    pictures: list[Thumbnail] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)
    unfilled: list[Unfilled] = field(default_factory=list)


def merge(
    parts: Iterable[tuple[ShardFile, pa.Table]],
    out: Path,
    about: Callable[[Merged], str] = lambda _merged: "",
    prints: BinaryIO | None = None,
) -> Merged:
    """Write the index to `out`, holding a few parts at a time; `about` is kept in its footer.

    Where the parts have prints of their sprites, these go to `prints`.
    """
    merged = Merged()
    with _Writer(out) as writer:
        for shard, part in parts:
            table, printed = split(part)
            if prints is not None:
                prints.write(printed)
            _account(table, shard, merged)
            numbers = pa.array([shard.number] * len(table), pa.int64())
            rows = table.drop_columns(["thumbnail"]).append_column(SCHEMA.field("shard"), numbers)
            writer.add(rows.replace_schema_metadata(None))
        writer.describe(about(merged))
    return merged


def stored(
    store: Store, job: str, shards: Iterable[DoneShard], first: int = 0
) -> Iterator[tuple[ShardFile, pa.Table]]:
    """The shards' parts from the store, each proved to be its shard's. Raises CorruptError.

    `first` is the number in the dataset of the job's own shard 0.
    """
    for shard in shards:
        number = first + shard.number
        table = _part(store, job, shard, number)
        file = ShardFile(
            number=number,
            name=shard_name(number, shard.sha256),
            sha256=shard.sha256,
            size=shard.size,
            samples=shard.samples,
        )
        yield file, table


def about(path: Path) -> str:
    """What the footer of an index keeps beside the rows, empty if nothing. Raises CorruptError."""
    try:
        with parquet(path) as file:
            held = file.metadata.metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise CorruptError(f"the index cannot be read as Parquet: {error}") from error
    return str(held.get(_ABOUT, b""), "utf-8", "replace")


def parquet(path: Path) -> pq.ParquetFile:
    """The file of an index, in whose footer pyarrow would take no more than 100 MB unasked."""
    return pq.ParquetFile(path, **_FOOTER)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of an index in order, a few at a time. Raises CorruptError."""
    for batch in _batches(path):
        yield from batch.to_pylist()


class Cursor:
    """Runs of an index's rows, each behind the last: the file is read once, front to back."""

    def __init__(self, path: Path) -> None:
        self._batches = _batches(path)
        self._batch: pa.RecordBatch | None = None
        self._start = 0  # of the batch

    def take(self, first: int, count: int) -> list[dict[str, Any]]:
        """Up to `count` rows from the `first` on. Raises CorruptError."""
        found: list[dict[str, Any]] = []
        while len(found) < count and (batch := self._with(first + len(found))) is not None:
            offset = first + len(found) - self._start
            found += batch.slice(offset, count - len(found)).to_pylist()
        return found

    def _with(self, row: int) -> pa.RecordBatch | None:
        """The batch that holds a row, if there is such a row."""
        while self._batch is None or row >= self._start + len(self._batch):
            self._start += len(self._batch) if self._batch else 0
            self._batch = next(self._batches, None)
            if self._batch is None:
                return None
        return self._batch


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        with parquet(path) as file:
            if not file.schema_arrow.equals(SCHEMA):
                raise CorruptError("the index's columns are not those of the format")
            yield from file.iter_batches(batch_size=4096)
    except (pa.ArrowException, OSError) as error:
        raise CorruptError(f"the index cannot be read as Parquet: {error}") from error


def row(record: Record, shard: int) -> dict[str, Any]:
    """The row that the index must hold for a record."""
    return {
        "key": record.key,
        "number": record.number,
        "context_id": record.context_id,
        "context": record.context_label,
        "class": record.class_name,
        "caption": record.caption,
        "index": record.index,
        "seed": record.seed,
        "sha256": record.sha256,
        "scores": scores_text(record),
        "shard": shard,
    }


def record(row: Mapping[str, Any]) -> Record:
    """The record of a row."""
    return Record(
        key=row["key"],
        number=row["number"],
        context_id=row["context_id"],
        context_label=row["context"],
        class_name=row["class"],
        caption=row["caption"],
        index=row["index"],
        seed=row["seed"],
        sha256=row["sha256"],
        scores=json.loads(row["scores"]),
    )


def shard_rows(path: Path, shard: int) -> list[dict[str, Any]]:
    """The rows of one shard. Raises CorruptError."""
    rows: list[dict[str, Any]] = _read(path, filters=[("shard", "==", shard)]).to_pylist()
    return rows


def found(source: Source, column: str, values: Sequence[object]) -> list[dict[str, Any]]:
    """The rows whose `column` has one of these values, in order. Raises CorruptError."""
    with source.open(INDEX) as opened:
        found = _read(_seekable(opened), filters=[(column, "in", list(values))])
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def columns(source: Source, names: Sequence[str]) -> pa.Table:
    """Some columns of a dataset's index. Raises CorruptError."""
    with source.open(INDEX) as opened:
        return _read(_seekable(opened), columns=list(names))


def _seekable(opened: BinaryIO) -> BinaryIO:
    return opened if opened.seekable() else BytesIO(opened.read())


def _read(file: Path | BinaryIO, **options: Any) -> pa.Table:
    try:
        return pq.read_table(file, **_FOOTER, **options)
    except (pa.ArrowException, OSError) as error:
        raise CorruptError(f"the index cannot be read as Parquet: {error}") from error


def _part(store: Store, job: str, shard: DoneShard, number: int) -> pa.Table:
    raw = store.get(shard.part_key)
    digest = hashlib.sha256(raw).hexdigest()
    if shard.part_key != part_key(job, number, digest):
        raise CorruptError(f"{shard.part_key} in the store has the hash {digest[:16]}.")
    if shard.key != shard_key(job, number, shard.sha256):
        raise CorruptError(f"shard {shard.number} of job {job} is recorded as {shard.key}.")
    with pq.ParquetFile(pa.BufferReader(raw)) as file:
        table = file.read(use_threads=False)  # threads cost more than so few rows
    if not split(table)[0].schema.equals(PART_SCHEMA) or len(table) != shard.samples:
        raise CorruptError(f"{shard.part_key} holds no index of {shard.samples} samples.")
    own = Digest()
    _hash(table, own)
    if own.hexdigest() != shard.samples_digest:
        raise CorruptError(
            f"{shard.part_key} lists other samples than its shard was recorded with."
        )
    return table


def _hash(table: pa.Table, digest: Digest) -> None:
    columns = (table[name].to_pylist() for name in ("context_id", "index", "sha256"))
    for context_id, index, sha256 in zip(*columns, strict=True):
        digest.update(context_id, index, sha256)


def _account(table: pa.Table, shard: ShardFile, merged: Merged) -> None:
    _hash(table, merged.digest)
    merged.samples += shard.samples
    merged.shards.append(shard)
    merged.refusals.add_rows(table)
    merged.unfilled += unfilled(table)
    shown = table.filter(table["thumbnail"].is_valid())
    names = (shown[name].to_pylist() for name in ("context", "key", "thumbnail"))
    merged.pictures += map(Thumbnail, *names)


class _Writer:
    """Gathers tables into row groups of a size that readers like."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=REPEATING)
        self._held: list[pa.Table] = []
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        self._held.append(table)
        self._rows += len(table)
        if self._rows >= _GROUP_ROWS:
            self._flush()

    def describe(self, about: str) -> None:
        self._file.add_key_value_metadata({_ABOUT: about})

    def _flush(self) -> None:
        if self._held:
            self._file.write_table(pa.concat_tables(self._held).combine_chunks())
        self._held, self._rows = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._file.close()
