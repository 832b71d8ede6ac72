"""A shard's part of the index: its records as Parquet, with the sprites that the preview shows."""

import json
from collections.abc import Sequence
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset.record import Record

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
PART_SCHEMA = pa.schema([*RECORD_FIELDS, pa.field("thumbnail", pa.binary())])


def build(records: Sequence[Record], thumbnails: Sequence[bytes | None]) -> bytes:
    """The Parquet file of a shard's records; a thumbnail is a PNG, for samples in the preview."""
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
    buffer = BytesIO()
    pq.write_table(
        pa.table(columns, schema=PART_SCHEMA),
        buffer,
        compression="zstd",
        use_dictionary=REPEATING,
        write_statistics=False,
    )
    return buffer.getvalue()


def scores_text(record: Record) -> str:
    """The scores as JSON with sorted keys: a type that every reader of Parquet takes."""
    return json.dumps(record.scores, sort_keys=True) if record.scores else "{}"
