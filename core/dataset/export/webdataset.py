"""WebDataset: tar files of `<name>.png`, `.cls` (the class's number), `.txt` and `.json`."""

from pydantic_core import to_json

from core.dataset import tar
from core.dataset.export import card
from core.dataset.export.features import row
from core.dataset.export.format import Job, Piece, Sample

SAMPLES = 10_000
_BUFFER = 2**20


class WebDataset:
    """Shards `train-000000.tar`, as brace patterns like to name them."""

    def capacity(self, size: int) -> int:  # noqa: ARG002  # any size is well in one shard
        return SAMPLES

    def proof(self, piece: Piece) -> str:
        return f"{piece.split}-{piece.number:06}.tar"

    def begin(self, piece: Piece, job: Job) -> "_Writing":
        return _Writing(self.proof(piece), job)

    def conclude(self, pieces: list[Piece], job: Job) -> None:
        files = {piece.split: f"{piece.split}-*.tar" for piece in pieces}
        card.put(job, "webdataset", files, features=None)


class _Writing:
    def __init__(self, name: str, job: Job) -> None:
        self._name = name
        self._job = job
        self._path = job.scratch / name
        self._file = self._path.open("wb", buffering=_BUFFER)

    def add(self, sample: Sample) -> None:
        name = sample.record.key
        self._file.write(
            tar.member(f"{name}.png", sample.picture)
            + tar.member(f"{name}.cls", b"%d" % sample.label)
            + tar.member(f"{name}.txt", sample.record.caption.encode())
            + tar.member(f"{name}.json", to_json(row(sample)))
        )

    def finish(self) -> None:
        self._file.write(tar.end())
        self._file.close()
        self._job.out.put_file(self._name, self._path, content_type="application/x-tar")
        self._path.unlink()
