"""A shard's part of the index: its records as Parquet, with the sprites that the preview shows."""

import json
from collections.abc import Sequence
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset import refusals
from core.dataset.record import Record
from core.dataset.refusals import Unfilled

PREVIEW_CONTEXTS = 64
PREVIEW_SAMPLES = 8

_TEXT = pa.string()
RECORD_FIELDS = [
    pa.field("key", _TEXT, nullable=False),
    pa.field("number", pa.int64(), nullable=False),
    pa.field("context_id", _TEXT, nullable=False),
    pa.field("context", _TEXT, nullable=False),
    pa.field("class", _TEXT, nullable=False),
    pa.field("caption", _TEXT, nullable=False),
    pa.field("index", pa.int64(), nullable=False),
    pa.field("seed", _TEXT, nullable=False),
    pa.field("sha256", _TEXT, nullable=False),
    pa.field("scores", _TEXT, nullable=False),
]
REPEATING = ["context_id", "context", "class", "caption", "scores"]
_UNFILLED = b"unfilled"
_PRINT = pa.field("print", pa.binary(256), nullable=False)
PART_SCHEMA = pa.schema([*RECORD_FIELDS, pa.field("thumbnail", pa.binary())])


def table(
    records: Sequence[Record],
    thumbnails: Sequence[bytes | None],
    prints: Sequence[bytes] = (),
) -> pa.Table:
    """A shard's records as a table; a thumbnail is a PNG, for samples in the preview.

    `prints` are of all samples, or of none: see `core.sprites.likeness`.
    """
    columns: dict[str, Sequence[object]] = {
        "key": [r.key for r in records],
        "number": [r.number for r in records],
        "context_id": [r.context_id for r in records],
        "context": [r.context_label for r in records],
        "class": [r.class_name for r in records],
        "caption": [r.caption for r in records],
        "index": [r.index for r in records],
        "seed": [r.seed for r in records],
        "sha256": [r.sha256 for r in records],
        "scores": [scores_text(r) for r in records],
        "thumbnail": thumbnails,
    }
    rows = pa.table(columns, schema=PART_SCHEMA)
    return rows.append_column(_PRINT, [pa.array(prints, _PRINT.type)]) if prints else rows


def build(
    records: Sequence[Record],
    thumbnails: Sequence[bytes | None],
    missing: Sequence[Unfilled] = (),
    prints: Sequence[bytes] = (),
) -> bytes:
    """The Parquet file of `table`, with the shard's unfilled samples in its footer, if any."""
    buffer, rows = BytesIO(), table(records, thumbnails, prints)
    if missing:
        rows = rows.replace_schema_metadata({_UNFILLED: refusals.encode(missing)})
    pq.write_table(
        rows,
        buffer,
        compression="zstd",
        use_dictionary=REPEATING,
        write_statistics=False,
    )
    return buffer.getvalue()


def split(rows: pa.Table) -> tuple[pa.Table, bytes]:
    """A part as every part is, and the prints of its samples one after the other, if it has any."""
    if _PRINT.name not in rows.schema.names:
        return rows, b""
    return rows.drop_columns([_PRINT.name]), b"".join(rows[_PRINT.name].to_pylist())


def unfilled(rows: pa.Table) -> list[Unfilled]:
    """The unfilled samples that a part tells of. Raises CorruptError."""
    held = (rows.schema.metadata or {}).get(_UNFILLED)
    return refusals.decode(held) if held else []


def scores_text(record: Record) -> str:
    """The scores as JSON with sorted keys: a type that every reader of Parquet takes."""
    return json.dumps(record.scores, sort_keys=True) if record.scores else "{}"
