"""What the page tells of a dataset: counted from its index, and from some of its sprites."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import TypeAdapter

from core.dataset.index import parquet
from core.dataset.manifest import Manifest
from core.dataset.refusals import PREFIX, Refusals
from core.request.plan import Plan, Shard

SCORED = 100_000
"""So many rows' scores are read, evenly spread over a larger dataset."""
COMPARED = 10_000_000
"""So many sprites are searched for equal ones: it takes 8 bytes of memory for each."""
_TWINS = 12
_COLUMNS = ["key", "context", "class", "sha256", "scores"]
_NUMBERS: TypeAdapter[dict[str, float]] = TypeAdapter(dict[str, float])


@dataclass(frozen=True, slots=True)
class Picture:
    """A sprite that the page may show."""

    key: str
    context: str
    png: bytes
    rgba: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scored:
    """A sprite's scores by name."""

    key: str
    scores: dict[str, float]


@dataclass(slots=True)
class Facts:
    """`twins` are groups of keys whose pixels are equal, the first few of `twin_groups`;
    `repeats` counts the sprites that are equal to one before them, None where none were sought.
    `alike` and `alike_groups` are the same of sprites whose prints are nearer than a rule allows.
    """

    manifest: Manifest
    plan: Plan
    contexts: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    scored: list[Scored] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)
    repeats: int | None = None
    twin_groups: int = 0
    twins: list[list[str]] = field(default_factory=list)
    alike: int | None = None
    alike_groups: list[list[str]] = field(default_factory=list)

    def scores(self) -> dict[str, NDArray[np.float64]]:
        """Each score's values, without what counts refusals."""
        found: dict[str, list[float]] = {}
        for each in self.scored:
            for name, value in each.scores.items():
                if not name.startswith(PREFIX):
                    found.setdefault(name, []).append(value)
        return {name: np.array(values) for name, values in sorted(found.items())}


def gather(plan: Plan, manifest: Manifest, index: Path) -> Facts:
    """Read an index once, a few rows at a time; twice where sprites are equal."""
    facts = Facts(manifest, plan)
    stride = max(1, math.ceil(manifest.samples / SCORED))
    hashes: list[NDArray[np.uint64]] = []
    read = 0
    for batch in _batches(index):
        facts.contexts.update(_counts(batch["context"]))
        facts.classes.update(_classes(batch))
        facts.refusals.add_rows(batch)
        facts.scored += _scored(batch.slice(-read % stride), stride)
        if manifest.samples <= COMPARED:
            hashes.append(_beginnings(batch["sha256"]))
        read += len(batch)
    for sample in manifest.quarantined:
        if sample.refused:
            facts.refusals.add_unfilled(_label(plan, sample.number), sample.refused)
    if manifest.samples <= COMPARED:
        _find_twins(facts, np.concatenate([np.empty(0, np.uint64), *hashes]), index)
    return facts


def _batches(index: Path) -> Iterator[pa.RecordBatch]:
    with parquet(index) as file:
        yield from file.iter_batches(batch_size=8192, columns=_COLUMNS)


def _classes(batch: pa.RecordBatch) -> dict[str, int]:
    """Rows by class; a mixture or a text, which has none, stands for itself."""
    named = pc.not_equal(batch["class"], "")
    return _counts(pc.if_else(named, batch["class"], batch["context"]))


def _counts(column: pa.Array) -> dict[str, int]:
    counted = column.value_counts()
    pairs = zip(counted.field("values"), counted.field("counts"), strict=True)
    return {value.as_py(): count.as_py() for value, count in pairs}


def _scored(batch: pa.RecordBatch, stride: int) -> Iterator[Scored]:
    """Every stride-th row that has scores."""
    rows = batch.take(pa.array(range(0, len(batch), stride)))
    for key, text in zip(rows["key"].to_pylist(), rows["scores"].to_pylist(), strict=True):
        if text != "{}":
            yield Scored(key, _NUMBERS.validate_json(text))


def _beginnings(sha256: pa.Array) -> NDArray[np.uint64]:
    """The first 8 bytes of each hash."""
    digits = "".join(text[:16] for text in sha256.to_pylist())
    return np.frombuffer(bytes.fromhex(digits), dtype=">u8").astype(np.uint64)


def _find_twins(facts: Facts, hashes: NDArray[np.uint64], index: Path) -> None:
    values, counts = np.unique(hashes, return_counts=True)
    facts.repeats = int((counts - 1).sum())
    facts.twin_groups = int((counts > 1).sum())
    shown: dict[int, list[str]] = {int(value): [] for value in values[counts > 1][:_TWINS]}
    if not shown:
        return
    for batch in _batches(index):
        for place in np.flatnonzero(np.isin(_beginnings(batch["sha256"]), list(shown))):
            text = batch["sha256"][int(place)].as_py()
            shown[int(text[:16], 16)].append(batch["key"][int(place)].as_py())
    facts.twins = list(shown.values())


def _label(plan: Plan, number: int) -> str:
    return next(plan.samples(Shard(0, number, 1))).context.label


def lowest(scored: Iterable[Scored], name: str, most: int) -> Sequence[tuple[str, float]]:
    """The keys whose score of a name is lowest, with it."""
    having = [(each.scores[name], each.key) for each in scored if name in each.scores]
    return [(key, value) for value, key in sorted(having)[:most]]
