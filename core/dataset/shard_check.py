"""Proving one shard by itself, so that several processes can share a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from core.dataset import index, png, refusals
from core.dataset.digest import line
from core.dataset.layout import INDEX, shard_name
from core.dataset.manifest import ShardFile
from core.dataset.record import Record, pixels_sha256
from core.dataset.report import EDITED, FETCH, Problem
from core.dataset.shard import unpack
from core.dataset.source import Source, stream
from core.errors import CorruptError
from core.request.plan import Plan, Sample, Shard, noise_key


@dataclass(frozen=True, slots=True)
class Task:
    """A shard, its place in the manifest, its samples' numbers in the plan, its first index row."""

    shard: ShardFile
    position: int
    first: int
    end: int
    row: int
    there: bool


@dataclass(slots=True)
class Checked:
    """What a shard showed. `lines` are its part of the dataset's digest, None if unreadable."""

    problems: list[Problem] = field(default_factory=list)
    samples: int = 0
    read: int = 0
    lines: bytes | None = None

    def add(self, kind: str, where: str, detail: str, remedy: str = FETCH) -> None:
        self.problems.append(Problem(kind, where, detail, remedy))


@dataclass(slots=True)
class ShardCheck:
    """Checks shards of sprites of `size` pixels against the plan and the index, if there are any.

    `left_out` are the numbers of the samples that the manifest says are not there. The shards
    must come in order, though not all of them.
    """

    source: Source
    size: int
    plan: Plan | None
    index_path: Path | None
    left_out: frozenset[int]
    _cursor: index.Cursor | None = field(default=None, init=False)

    def __call__(self, task: Task) -> Checked:
        found, shard = Checked(), task.shard
        if shard.number != task.position or shard.name != shard_name(shard.number, shard.sha256):
            found.add("manifest", shard.name, "its number or name is not its own.", EDITED)
        records = self._records(shard, found) if task.there else None
        if records is None:
            return found
        found.samples = len(records)
        if len(records) != shard.samples:
            detail = f"it holds {len(records):,} samples instead of {shard.samples:,}."
            found.add("count", shard.name, detail, EDITED)
        self._against_plan(task, records, found)
        self._against_index(task, records, found)
        return found

    def _records(self, shard: ShardFile, found: Checked) -> list[Record] | None:
        """The records of a shard, its sprites decoded; None when it is damaged."""
        records, lines, wrong, fault = [], list[str](), [], ""

        def count(read: int) -> None:
            found.read += read

        with stream(self.source, shard.name, count) as reader:
            try:
                for record, picture in islice(unpack(reader, self.size), shard.samples + 1):
                    pixels = pixels_sha256(png.decode(picture, self.size))
                    lines.append(line(record.context_id, record.index, pixels))
                    records.append(record)
                    if pixels != record.sha256:
                        wrong.append(record.key)
            except CorruptError as error:
                fault = error.message
            sha256 = reader.drain()
        if sha256 != shard.sha256:
            found.add("hash", shard.name, f"its SHA-256 is {sha256}, not the manifest's.")
            return None
        if fault:
            found.add("shard", shard.name, f"{fault}.", EDITED)
            return None
        for key in wrong:
            found.add("pixels", f"{shard.name}/{key}", "its pixels have another hash.", EDITED)
        found.lines = "".join(lines).encode()
        return records

    def _against_plan(self, task: Task, records: Sequence[Record], found: Checked) -> None:
        """Tell the first sample that is not the request's."""
        if self.plan is None:
            return
        end = min(task.end, self.plan.total)
        planned = self.plan.samples(Shard(0, task.first, max(0, end - task.first)))
        wanted = (sample for sample in planned if sample.number not in self.left_out)
        seed = self.plan.request.seed
        for record, sample in zip(records, wanted, strict=False):
            if not _same(record, sample) or record.seed != _seed(record, sample, seed):
                detail = f"{record.key} is where the request has {sample.key}."
                found.add("order", task.shard.name, detail, EDITED)
                return

    def _against_index(self, task: Task, records: Sequence[Record], found: Checked) -> None:
        """Tell the first sample that the index has otherwise."""
        if self.index_path is None:
            return
        try:
            if self._cursor is None:
                self._cursor = index.Cursor(self.index_path)
            rows = self._cursor.take(task.row, task.shard.samples)
            for record, row in zip(records, rows, strict=False):
                if index.row(record, task.shard.number) != row:
                    detail = f"it says otherwise of {record.key} than {task.shard.name}."
                    found.add("index", INDEX, detail, EDITED)
                    return
        except CorruptError as error:
            found.add("index", INDEX, f"{error.message}.", EDITED)


def _same(record: Record, sample: Sample) -> bool:
    context = sample.context
    return (
        record.key, record.number, record.index, record.context_id,
        record.context_label, record.class_name, record.caption,
    ) == (
        sample.key, sample.number, sample.index, context.id,
        context.label, context.class_name, context.caption,
    )  # fmt: skip


def _seed(record: Record, sample: Sample, seed: int) -> str:
    """The seed of the drawing that is kept: the first, or the one after those refused."""
    refused = sum(refusals.of(record.scores).values())
    if not refused:
        return sample.noise_key.hex()
    return noise_key(seed, sample.context.id, sample.index, refused).hex()
