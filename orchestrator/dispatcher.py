"""Hints to the workers: as many as they can take, shared fairly, sent again when they were lost."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import structlog

from core.ledger import Ledger, jobs, shards, workers
from core.ledger.jobs import Job
from core.ledger.workers import Order, Worker, WorkerState
from core.messages import RenderHint, queue
from core.settings import Settings
from orchestrator.fair_share import Candidate, share
from orchestrator.fleet import silent_after
from orchestrator.publisher import Publisher

_SOONEST, _LATEST = 0.01, 0.25
_LOST_SECONDS = 5.0
_DRY_SECONDS = 1.0
_NEVER_STALE = 86400.0
_WINDOW = 4

log = structlog.get_logger(__name__)


class Dispatcher:
    """At most one message waits for each live slot, so that orders and fairness bite soon."""

    def __init__(self, ledger: Ledger, publisher: Publisher, settings: Settings) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._settings = settings
        self._pause = _SOONEST
        self._served: dict[str, int] = {}
        self._dry: dict[str, float] = {}
        self._unexplained_since: float | None = None

    def step(self) -> float:
        """Send what can be sent; the seconds until the next look, sooner while much is done."""
        slots = count_slots(workers.live(self._ledger, silent_after(self._settings)))
        sent = self._send(slots) if slots else 0
        self._pause = _SOONEST if sent else min(2 * self._pause, _LATEST)
        return self._pause

    def _send(self, slots: Mapping[str, int]) -> int:
        waiting = {name: self._publisher.waiting(queue(name)) for name in slots}
        places = {name: max(0, slots[name] - waiting[name]) for name in slots}
        hinted = shards.queued_by_job(self._ledger)
        runnable = jobs.runnable(self._ledger)
        deaf = sum(hinted.get(job.id, 0) for job in runnable if job.numerics not in {None, *slots})
        self._recover_lost(sum(hinted.values()) - deaf, sum(waiting.values()))
        asking = {
            job.id: candidate(
                self._planned_ahead(job, sum(slots.values())),
                route(job, slots, places),
                hinted.get(job.id, 0),
                self._served.get(job.id, 0),
            )
            for job in runnable
            if self._dry.get(job.id, 0.0) < time.monotonic()
        }
        return self._send_shares(asking, share(asking.values(), places))

    def _send_shares(self, asking: Mapping[str, Candidate], shares: Sequence[str]) -> int:
        self._dry = {job: until for job, until in self._dry.items() if until > time.monotonic()}
        clock = max(self._served.values(), default=0)
        self._served = {job: turn for job, turn in self._served.items() if job in asking}
        hints = {job: self._hints(job, count) for job, count in Counter(shares).items()}
        sent = 0
        for turn, job in enumerate(shares, clock + 1):
            if hints[job]:
                self._publisher.send(hints[job].pop(0), queue(asking[job].numerics))
                self._served[job] = turn
                sent += 1
        return sent

    def _hints(self, job: str, count: int) -> list[RenderHint]:
        """Some of a job's shards may be waiting after a failure: then others get its places."""
        hints = shards.hint(self._ledger, job, count, stale_after=_NEVER_STALE)
        if len(hints) < count:
            self._dry[job] = time.monotonic() + _DRY_SECONDS
        return hints

    def _planned_ahead(self, job: Job, slots: int) -> Job:
        """Give the job rows for its next shards, a few times what the workers hold."""
        pending = job.shards_planned - job.shards_done - job.shards_leased
        counts = shard_counts(job, _WINDOW * slots - pending)
        if not counts or not shards.plan_rows(self._ledger, job.id, job.shards_planned, counts):
            return job
        return replace(job, shards_planned=job.shards_planned + len(counts))

    def _recover_lost(self, hinted: int, waiting: int) -> None:
        """Hints that stay unclaimed beyond what waits in the broker were lost: forget them."""
        now = time.monotonic()
        if hinted <= waiting:
            self._unexplained_since = None
        elif self._unexplained_since is None:
            self._unexplained_since = now
        elif now - self._unexplained_since > _LOST_SECONDS:
            forgotten = shards.unhint(self._ledger, _LOST_SECONDS)
            self._unexplained_since = None
            log.warning("hints.lost", hinted=hinted, waiting=waiting, forgotten=forgotten)


def count_slots(live: Iterable[Worker]) -> dict[str, int]:
    """Slots that take work, by numerics class."""
    counted: Counter[str] = Counter()
    for worker in live:
        if worker.state == WorkerState.READY and worker.order == Order.RUN:
            counted[worker.numerics] += worker.slots
    return dict(counted)


def route(job: Job, slots: Mapping[str, int], places: Mapping[str, int]) -> str:
    """The numerics class for a job's shards. One that no worker has claimed from yet is free to
    go where most slots are, of the classes that have a place; its first claim binds it.
    """
    if job.numerics is not None:
        return job.numerics
    return max(slots, key=lambda name: (places[name] > 0, slots[name], name))


def candidate(job: Job, numerics: str, hinted: int, served: int) -> Candidate:
    return Candidate(
        job=job.id,
        owner=job.owner,
        priority=job.priority,
        numerics=numerics,
        under_way=job.shards_leased + hinted,
        wanting=job.shards_planned - job.shards_done - job.shards_leased - hinted,
        served=served,
    )


def shard_counts(job: Job, most: int) -> list[int]:
    """The sizes of the next shards without rows; the last of all may be smaller."""
    first = job.shards_planned
    return [
        min(job.shard_samples, job.total_samples - number * job.shard_samples)
        for number in range(first, min(job.shard_count, first + most))
    ]
