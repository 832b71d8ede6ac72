"""The index: one Parquet file with a row for each sample, merged from the shards' parts."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset.digest import Digest
from core.dataset.layout import dataset_prefix, part_key, shard_key
from core.dataset.manifest import ShardFile
from core.dataset.parts import PART_SCHEMA, RECORD_FIELDS, REPEATING, scores_text
from core.dataset.record import Record
from core.errors import CorruptError
from core.storage import Store

SCHEMA = pa.schema([*RECORD_FIELDS, pa.field("shard", pa.int64(), nullable=False)])
_GROUP_ROWS = 2**16


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


@dataclass(slots=True)
class Merged:
    """What merging the parts showed. `pictures` holds PNG files by context, for the preview."""

    samples: int = 0
    digest: Digest = field(default_factory=Digest)
    shards: list[ShardFile] = field(default_factory=list)
    pictures: dict[str, tuple[str, list[bytes]]] = field(default_factory=dict)


def merge(store: Store, job: str, shards: Iterable[DoneShard], out: Path) -> Merged:
    """Write the index to `out`, holding a few parts at a time. Raises CorruptError."""
    merged = Merged()
    with _Writer(out) as writer:
        for shard in shards:
            table = _part(store, job, shard)
            _account(table, shard, job, merged)
            numbers = pa.array([shard.number] * len(table), pa.int64())
            rows = table.drop_columns(["thumbnail"]).append_column(SCHEMA.field("shard"), numbers)
            writer.add(rows)
    return merged


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of an index in order, a few at a time. Raises CorruptError."""
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(SCHEMA):
                raise CorruptError("the index's columns are not those of the format")
            for batch in file.iter_batches(batch_size=4096):
                yield from batch.to_pylist()
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


def _part(store: Store, job: str, shard: DoneShard) -> pa.Table:
    raw = store.get(shard.part_key)
    digest = hashlib.sha256(raw).hexdigest()
    if shard.part_key != part_key(job, shard.number, digest):
        raise CorruptError(f"{shard.part_key} in the store has the hash {digest[:16]}.")
    if shard.key != shard_key(job, shard.number, shard.sha256):
        raise CorruptError(f"shard {shard.number} of job {job} is recorded as {shard.key}.")
    with pq.ParquetFile(pa.BufferReader(raw)) as file:
        table = file.read(use_threads=False)  # threads cost more than so few rows
    if not table.schema.equals(PART_SCHEMA) or len(table) != shard.samples:
        raise CorruptError(f"{shard.part_key} holds no index of {shard.samples} samples.")
    return table


def _account(table: pa.Table, shard: DoneShard, job: str, merged: Merged) -> None:
    own = Digest()
    columns = (table[name].to_pylist() for name in ("context_id", "index", "sha256"))
    for context_id, index, sha256 in zip(*columns, strict=True):
        own.update(context_id, index, sha256)
        merged.digest.update(context_id, index, sha256)
    if own.hexdigest() != shard.samples_digest:
        raise CorruptError(
            f"{shard.part_key} lists other samples than its shard was recorded with."
        )
    merged.samples += shard.samples
    merged.shards.append(
        ShardFile(
            number=shard.number,
            name=shard.key.removeprefix(dataset_prefix(job)),
            sha256=shard.sha256,
            size=shard.size,
            samples=shard.samples,
        )
    )
    shown = table.filter(table["thumbnail"].is_valid())
    names = (shown[name].to_pylist() for name in ("context_id", "context", "thumbnail"))
    for context_id, label, thumbnail in zip(*names, strict=True):
        merged.pictures.setdefault(context_id, (label, []))[1].append(thumbnail)


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
