"""Hugging Face Parquet: `data/train-00000-of-00001.parquet`, pictures within, features typed."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset.export import card
from core.dataset.export.features import features, row
from core.dataset.export.format import Job, Piece, Sample

SAMPLES = 100_000
GROUP = 1024
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_TYPES = {"string": pa.string(), "int64": pa.int64()}


def schema(job: Job) -> pa.Schema:
    """The columns, with the metadata by which `datasets` knows pictures and classes."""
    described = features(job.manifest.model.classes)
    columns = [pa.field(name, _type(feature)) for name, feature in described.items()]
    about = {"info": {"features": described}}
    return pa.schema(columns, metadata={"huggingface": json.dumps(about)})


def _type(feature: dict[str, Any]) -> pa.DataType:
    if feature["_type"] == "Image":
        return _IMAGE
    return pa.int64() if feature["_type"] == "ClassLabel" else _TYPES[feature["dtype"]]


class Parquet:
    """As a dataset on the Hub has them."""

    def capacity(self, size: int) -> int:  # noqa: ARG002  # row groups keep memory flat
        return SAMPLES

    def proof(self, piece: Piece) -> str:
        return f"data/{piece.split}-{piece.number:05}-of-{piece.of:05}.parquet"

    def begin(self, piece: Piece, job: Job) -> "_Writing":
        return _Writing(self.proof(piece), job)

    def conclude(self, pieces: list[Piece], job: Job) -> None:
        files = {piece.split: f"data/{piece.split}-*.parquet" for piece in pieces}
        card.put(job, "parquet", files, features(job.manifest.model.classes))


class _Writing:
    def __init__(self, name: str, job: Job) -> None:
        self._name = name
        self._job = job
        self._path = job.scratch / name.replace("/", "-")
        self._schema = schema(job)
        self._rows: list[dict[str, Any]] = []
        self._file = pq.ParquetWriter(
            self._path, self._schema, compression="snappy", write_page_index=True
        )

    def add(self, sample: Sample) -> None:
        picture = {"bytes": sample.picture, "path": f"{sample.record.key}.png"}
        self._rows.append({"image": picture, **row(sample)})
        if len(self._rows) == GROUP:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._file.close()
        self._job.out.put_file(
            self._name, self._path, content_type="application/vnd.apache.parquet"
        )
        self._path.unlink()

    def _flush(self) -> None:
        if self._rows:
            columns = {name: [row[name] for row in self._rows] for name in self._schema.names}
            self._file.write_table(pa.table(columns, schema=self._schema), row_group_size=GROUP)
        self._rows = []
