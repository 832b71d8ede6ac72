"""How far a job is, how fast it goes, and how long it will take."""

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.ledger.jobs import Job

WINDOW_SECONDS = 20.0
_LEAST_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job with `samples` done, those in flight included; `rate` in samples a second of the
    recent past, `eta` in seconds, both None while unknown; `leased` shards are being rendered;
    `workers` live in the whole mill; `dataset` is where a finished one lies, a folder or a URL;
    `waits_for` says what must be mended from outside before the job can go on.
    """

    job: "Job"
    samples: int
    rate: float | None
    eta: float | None
    leased: int
    workers: int
    dataset: str
    waits_for: str = ""

    def at(self, rate: float | None) -> "JobStatus":
        """The same at another rate."""
        return replace(self, rate=rate, eta=eta(self.job.total_samples - self.samples, rate))


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


def present_rate(job: "Job") -> float | None:
    """The speed of a slot at this job so far, times the slots that are at it now."""
    return (
        job.samples_done / job.render_seconds * job.shards_leased or None
        if job.render_seconds
        else None
    )


def eta(left: int, rate: float | None) -> float | None:
    """Seconds for the samples that are left."""
    if left == 0:
        return 0.0
    return left / rate if rate else None
