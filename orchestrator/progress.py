"""How far a job is, how fast it goes, and how long it will take."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.ledger.jobs import Job
    from core.ledger.shards import Progress as Flying

WINDOW_SECONDS = 20.0
_LEAST_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job with `samples` done, those in flight included, and `samples_left` to be drawn, those
    that quality control could not fill left out; `rate` in samples a second of the recent past,
    `eta` in seconds with the `eta_range` it lies in, all None while unknown; `leased` shards are
    being rendered; `gpu_seconds_spent` on what is done and in flight, and, once the pace is known,
    `gpu_seconds_left`; `workers` live in the whole mill; `dataset` is where a finished one lies, a
    folder or a URL; `waits_for` says what must be mended from outside before the job can go on.
    """

    job: "Job"
    samples: int
    samples_left: int
    rate: float | None
    eta: float | None
    eta_range: tuple[float, float] | None
    leased: int
    gpu_seconds_spent: float
    gpu_seconds_left: float | None
    workers: int
    dataset: str
    waits_for: str = ""

    @property
    def samples_drawn(self) -> int:
        """How many are not left."""
        return self.job.total_samples - self.samples_left

    def at(self, rate: float | None) -> "JobStatus":
        """The same at another rate."""
        left = eta(self.samples_left, rate)
        found = self.eta_range
        if left is not None and found is not None:
            found = min(found[0], left), max(found[1], left)
        return replace(self, rate=rate, eta=left, eta_range=found)


class Speed:
    """Samples a second over the last `WINDOW_SECONDS` of what is told."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def tell(self, now: float, samples: int) -> float | None:
        """Work that is lost with its worker makes the count fall: then the rate begins anew."""
        not_begun = len(self._seen) == 1 and samples == self._seen[0][1]
        if self._seen and (samples < self._seen[-1][1] or not_begun):
            self._seen.clear()
        self._seen.append((now, samples))
        while now - self._seen[0][0] > WINDOW_SECONDS and len(self._seen) > 2:
            self._seen.popleft()
        (then, before) = self._seen[0]
        return (samples - before) / (now - then) if now - then >= _LEAST_SECONDS else None


def status(
    job: "Job", flying: "Flying", workers: int, dataset: str, waits_for: str = ""
) -> JobStatus:
    """A job's status, from its counters and those of its shards under way."""
    samples = job.samples_done + flying.samples
    left = job.total_samples - job.samples_drawn - flying.samples
    paces = _paces(job, flying)
    rate = flying.leased / paces[0] if paces and flying.leased else None
    return JobStatus(
        job=job,
        samples=samples,
        samples_left=left,
        rate=rate,
        eta=eta(left, rate),
        eta_range=_range(left, job.shard_samples, flying.leased, paces),
        leased=flying.leased,
        gpu_seconds_spent=job.render_seconds + flying.seconds,
        gpu_seconds_left=left * paces[0] if paces else None,
        workers=workers,
        dataset=dataset,
        waits_for=waits_for,
    )


def _paces(job: "Job", flying: "Flying") -> list[float]:
    """Seconds of a slot for a sample: of the job so far, then at its shards under way."""
    found = [flying.fastest, flying.slowest]
    if job.samples_drawn:
        found.insert(0, job.render_seconds / job.samples_drawn)
    elif flying.samples:
        found.insert(0, flying.seconds / flying.samples)
    return [pace for pace in found if pace]


def _range(
    left: int, shard_samples: int, slots: int, paces: Sequence[float]
) -> tuple[float, float] | None:
    """Between all slots being as fast as the fastest, and as slow as the slowest with the last
    shard begun by one alone (Graham, "Bounds on Multiprocessing Timing Anomalies", 1969, eq. 1).
    """
    if left == 0:
        return 0.0, 0.0
    if not (paces and slots):
        return None
    slowest = max(paces)
    alone = (1 - 1 / slots) * min(left, shard_samples) * slowest
    return left * min(paces) / slots, left * slowest / slots + alone


def eta(left: int, rate: float | None) -> float | None:
    """Seconds for the samples that are left."""
    if left == 0:
        return 0.0
    return left / rate if rate else None
