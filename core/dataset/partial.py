"""What a job finished before it was cancelled, failed or paused: its shards, and a file that lists
them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from core.dataset.download import copy
from core.dataset.index import DoneShard
from core.dataset.layout import PARTIAL, dataset_prefix
from core.dataset.manifest import ShardFile
from core.dataset.report import Problem, Problems, Report
from core.dataset.source import OnProgress, Source, stream
from core.errors import ConflictError

_FETCH = "Fetch it again with `spritemill download`."
_AGAIN = "Let the job go on, or submit the request again, for a whole dataset."


class Partial(BaseModel):
    """Shards of a dataset that was never finished: `shard_count` of `total_samples` were asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["spritemill-partial/1"] = "spritemill-partial/1"
    job: str
    name: str
    state: str
    request_digest: str
    weights: str
    shard_count: int
    total_samples: int
    shards: tuple[ShardFile, ...]

    @property
    def samples(self) -> int:
        return sum(shard.samples for shard in self.shards)


def listed(job: str, done: Iterable[DoneShard]) -> tuple[ShardFile, ...]:
    """The files of shards that are done. Raises ConflictError when there is none."""
    files = []
    for shard in done:
        name = shard.key.removeprefix(dataset_prefix(job))
        number = int(Path(name).stem.partition("-")[0])
        files.append(
            ShardFile(number=number, name=name, sha256=shard.sha256, size=shard.size,
                      samples=shard.samples)
        )  # fmt: skip
    if not files:
        raise ConflictError(f"job {job}: no shard of it is finished.", remedy=_AGAIN)
    return tuple(files)


def download(
    source: Source, partial: Partial, folder: Path, on_progress: OnProgress | None = None
) -> None:
    """Copy the shards to a folder, and then what lists them. Raises as `download.download`."""
    data = partial.model_dump_json(indent=1).encode() + b"\n"
    copy(source, partial.shards, (PARTIAL, data), folder, on_progress)


def verify(source: Source, on_progress: OnProgress | None = None) -> Report:
    """Hash each shard that is listed. One problem is always told: that it is no whole dataset."""
    try:
        with source.open(PARTIAL) as opened:
            partial = Partial.model_validate_json(opened.read())
    except ValidationError:
        problem = Problem("partial", PARTIAL, "it cannot be read.", _FETCH)
        return Report((problem,), 0, 0, "")
    problems, there = Problems(), source.files()
    state = f"its job is {partial.state}: {partial.samples:,} of {partial.total_samples:,}"
    problems.add("partial", PARTIAL, f"this is no whole dataset: {state} sprites.", _AGAIN)
    done = _Bytes(sum(shard.size for shard in partial.shards), on_progress)
    whole = 0
    for shard in partial.shards:
        if shard.name not in there:
            problems.add("missing", shard.name, f"{PARTIAL} names it.", _FETCH)
        elif stream(source, shard.name, done.add).drain() != shard.sha256:
            problems.add("hash", shard.name, f"it is not the file that {PARTIAL} names.", _FETCH)
        else:
            whole += shard.samples
    for name in sorted(there.keys() - {shard.name for shard in partial.shards} - {PARTIAL}):
        problems.add("extra", name, f"{PARTIAL} does not name it.", "Move it out.")
    return Report(problems.all(), whole, done.count, "")


class _Bytes:
    """How many bytes were read."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self.count = 0
        self._total = total
        self._on_progress = on_progress

    def add(self, count: int) -> None:
        self.count += count
        if self._on_progress:
            self._on_progress(self.count, self._total)
