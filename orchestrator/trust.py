"""Use cases about finished datasets: prove, show, render again, mend."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.dataset import comparison, index
from core.dataset.comparison import Comparison, Pair, request_of
from core.dataset.manifest import Manifest
from core.dataset.record import Record
from core.dataset.rendering import Rendering, differences, told
from core.dataset.report import Problem, Report
from core.dataset.source import OnProgress, Source, read_manifest
from core.errors import NotFoundError, UsageError
from orchestrator import datasets
from orchestrator.regeneration import regeneration

if TYPE_CHECKING:
    from core.dataset.repair import Repair
    from orchestrator.service import Service

_DIGITS = 18  # of numbers that an index can hold
_REMEDY = "`spritemill repair` mends it if its shard is damaged too."


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample: its record, its PNG file, and who made it, as far as this mill's ledger knows."""

    record: Record
    png: bytes
    shard: str
    worker: str = ""
    attempt: int = 0

    @property
    def document(self) -> dict[str, Any]:
        where = {"shard": self.shard, "worker": self.worker, "attempt": self.attempt}
        return {**json.loads(self.record.encode()), **where}


def show(service: "Service", name: str) -> Shown:
    """The sample DATASET/NUMBER, DATASET/KEY, or NUMBER or KEY of the latest job.

    Raises NotFoundError.
    """
    [(dataset, (which,))] = _by_dataset([name]).items()
    source = service.datasets.open(dataset)
    manifest = read_manifest(source)
    number = _number(source, dataset, which)
    [(shard, [(record, png)])] = comparison.stored(source, manifest, {number})
    origin = service.datasets.origin(*_job(manifest, shard.number))
    if origin is None:
        return Shown(record, png, shard.name)
    return Shown(record, png, shard.name, origin.worker, origin.attempt)


def regenerate(service: "Service", names: Sequence[str]) -> Iterator[tuple[Pair, str]]:
    """Each sample as it is stored and as it is rendered here, with what differs of the numerics
    class that it was made with. Raises NotFoundError."""
    for dataset, whiches in _by_dataset(names).items():
        source = service.datasets.open(dataset)
        manifest = read_manifest(source)
        numbers = {_number(source, dataset, which) for which in whiches}
        with _rendering(service, source, manifest) as rendering:
            for pair in comparison.pairs(source, manifest, numbers, rendering):
                then = manifest.numerics_of(pair.shard)
                yield pair, told(differences(then, rendering.numerics))


def spot_check(service: "Service", name: str, share: str, seed: int) -> Comparison:
    """Render some samples of a dataset again, chosen at random. Raises UsageError."""
    source = service.datasets.open(name)
    manifest = read_manifest(source)
    chosen = comparison.some(manifest, _count(share, manifest.samples), seed)
    with _rendering(service, source, manifest) as rendering:
        return comparison.compare(source, manifest, chosen, rendering)


def damage(found: Comparison) -> list[Problem]:
    """The sprites that are not what their numerics class, if it is the same here, renders."""
    if found.differs:
        return []
    detail = f"rendered again it is another, by up to {found.largest} of 255."
    return [Problem("regenerate", key, detail, _REMEDY) for key in found.unequal]


def repair(
    service: "Service", name: str, on_progress: OnProgress | None = None
) -> "tuple[Repair, Report]":
    """Mend a dataset in place, then verify it. Raises CorruptError when it tells too little.

    Of a job here, the samples that could not be rendered are rendered again.
    """
    from core.dataset.repair import repair
    from core.dataset.verify import verify

    dataset = service.datasets.open(name)

    def renders(text: str, manifest: Manifest) -> AbstractContextManager[Rendering]:
        return regeneration(service.settings, text, manifest)

    done, report = repair(dataset, renders, on_progress), verify(dataset, on_progress)
    if report.ok:
        done.left_out = len(read_manifest(dataset).failed())
        if done.left_out and datasets.at(name, service.settings) is None:
            done.retried = service.retry(name).id
    return done, report


def _rendering(
    service: "Service", source: Source, manifest: Manifest
) -> AbstractContextManager[Rendering]:
    return regeneration(service.settings, request_of(source), manifest)


def _by_dataset(names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        dataset, _, which = name.rpartition("/")
        found.setdefault(dataset or "latest", []).append(which)
    return found


def _number(source: Source, dataset: str, which: str) -> int:
    numbered = which.isdecimal() and len(which) <= _DIGITS
    column, value = ("number", int(which)) if numbered else ("key", which)
    rows = index.found(source, column, [value])
    if not rows:
        raise NotFoundError(
            f"sample = {which}: {dataset} has none of that {column}.",
            remedy="Its index.parquet lists them; name one as DATASET/NUMBER or DATASET/KEY.",
        )
    return int(rows[0]["number"])


def _job(manifest: Manifest, shard: int) -> tuple[str, int]:
    """The job that rendered a shard, and the shard's number within that job."""
    before = 0
    for each in manifest.ancestors:
        if shard < each.shards:
            return each.job, shard - before
        before = each.shards
    return manifest.job, shard - before


def _count(share: str, samples: int) -> int:
    """How many samples `1%`, or `50`, of a dataset are: at least one. Raises UsageError."""
    number = share.removesuffix("%")
    try:
        wanted = float(number) * samples / 100 if number != share else int(share)
    except ValueError:
        wanted = 0
    if not 0 < wanted <= samples:
        raise UsageError(
            f"regenerate = {share}: it is no share of {samples:,} samples.",
            remedy="Give 1%, or a number of samples.",
        )
    return max(1, round(wanted))
