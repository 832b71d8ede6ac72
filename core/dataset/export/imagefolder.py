"""Image folder: `train/<class>/<name>.png` and `train/metadata.jsonl`."""

import json
import sys

from core.dataset.export import card
from core.dataset.export.features import features, row
from core.dataset.export.format import Job, Piece, Sample
from core.dataset.export.naming import class_slug

TABLE = "metadata.jsonl"


class ImageFolder:
    """As `datasets`, torchvision and Keras read them: classes are folders."""

    def capacity(self, size: int) -> int:  # noqa: ARG002  # pictures are files of their own
        return sys.maxsize

    def proof(self, piece: Piece) -> str:
        return f"{piece.split}/{TABLE}"

    def begin(self, piece: Piece, job: Job) -> "_Writing":
        return _Writing(self.proof(piece), piece.split, job)

    def conclude(self, pieces: list[Piece], job: Job) -> None:
        files = {piece.split: f"{piece.split}/**" for piece in pieces}
        card.put(job, "imagefolder", files, features(job.manifest.model.classes))


class _Writing:
    def __init__(self, name: str, split: str, job: Job) -> None:
        self._name = name
        self._split = split
        self._job = job
        self._path = job.scratch / f"{split}.jsonl"
        self._table = self._path.open("w", encoding="utf-8")
        self._begun = next(job.out.list(f"{split}/"), None) is not None

    def add(self, sample: Sample) -> None:
        name = f"{class_slug(sample.record)}/{sample.record.key}.png"
        key = f"{self._split}/{name}"
        if not (self._begun and self._job.out.head(key)):
            self._job.out.put(key, sample.picture, content_type="image/png")
        line = json.dumps({"file_name": name, **row(sample)}, ensure_ascii=False)
        self._table.write(line + "\n")

    def finish(self) -> None:
        self._table.close()
        self._job.out.put_file(self._name, self._path, content_type="application/jsonl")
        self._path.unlink()
