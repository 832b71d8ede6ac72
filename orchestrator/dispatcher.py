"""Hints to the workers: as many as they can take, shared fairly, sent again when they were lost."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import structlog

from core.errors import NotFoundError
from core.ledger import Ledger, jobs, shards, workers
from core.ledger.jobs import Job
from core.messages import RenderHint, queue
from core.settings import Settings
from orchestrator.crew import Crew, candidate, crews, route
from orchestrator.fair_share import Candidate, FairShare, may_wait
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
        self._fair = FairShare(settings.weights)
        self._dry: dict[str, float] = {}
        self._unexplained_since: float | None = None

    def step(self) -> float:
        """Send what can be sent; the seconds until the next look, sooner while much is done."""
        there = crews(workers.live(self._ledger, silent_after(self._settings)))
        sent = self._send(there) if there else 0
        self._pause = _SOONEST if sent else min(2 * self._pause, _LATEST)
        return self._pause

    def _send(self, there: Mapping[str, Crew]) -> int:
        waiting = {name: self._publisher.waiting(queue(name)) for name in there}
        room = {name: there[name].slots - waiting[name] for name in there}
        hinted = shards.queued_by_job(self._ledger)
        if max(room.values()) <= 0 and sum(hinted.values()) <= sum(waiting.values()):
            self._unexplained_since = None
            return 0
        runnable = {job.id: job for job in jobs.runnable(self._ledger)}
        heard = sum(
            count
            for job, count in hinted.items()
            if job not in runnable or runnable[job].numerics in {None, *there}
        )
        self._recover_lost(heard, sum(waiting.values()))
        asking = self._asking(runnable.values(), there, room, hinted)
        self._fair.settle(asking.values(), self._ended(asking))
        places = {name: _places(name, there[name], asking, waiting[name]) for name in there}
        window = _WINDOW * sum(crew.slots for crew in there.values())
        return self._send_shares(asking, runnable, places, window)

    def _asking(
        self,
        runnable: Iterable[Job],
        there: Mapping[str, Crew],
        room: Mapping[str, int],
        hinted: Mapping[str, int],
    ) -> dict[str, Candidate]:
        now = time.monotonic()
        self._dry = {job: until for job, until in self._dry.items() if until > now}
        found = dict[str, Candidate]()
        for job in runnable:
            numerics = route(job, there, room)
            crew = there.get(numerics, Crew())
            dry = job.id in self._dry
            found[job.id] = candidate(job, numerics, crew, hinted.get(job.id, 0), dry=dry)
        return found

    def _ended(self, asking: Mapping[str, Candidate]) -> list[Candidate]:
        """Jobs that left since the last look, to be charged what their last shards took."""
        found = []
        for name in self._fair.unsettled(asking):
            try:
                job = jobs.get(self._ledger, name)
            except NotFoundError:  # it was removed
                continue
            if job.numerics is not None:
                found.append(candidate(job, job.numerics, Crew(), 0))
        return found

    def _send_shares(
        self,
        asking: Mapping[str, Candidate],
        runnable: Mapping[str, Job],
        places: Mapping[str, int],
        window: int,
    ) -> int:
        shares = self._fair.share(asking.values(), places)
        hints = {
            job: self._hints(runnable[job], asking[job], count, window)
            for job, count in Counter(shares).items()
        }
        sent = 0
        for job in shares:
            if hints[job]:
                self._publisher.send(hints[job].pop(0), queue(asking[job].numerics))
                sent += 1
            else:
                self._fair.take_back(asking[job])
        return sent

    def _hints(self, job: Job, one: Candidate, count: int, window: int) -> list[RenderHint]:
        """Some of a job's shards may be waiting after a failure: then others get its places."""
        if job.shards_planned - one.done - one.under_way < count:
            job = self._planned_ahead(job, window)
        hints = shards.hint(self._ledger, job.id, count, stale_after=_NEVER_STALE)
        if len(hints) < count and (further := self._planned_ahead(job, window)) is not job:
            left = count - len(hints)
            hints += shards.hint(self._ledger, further.id, left, stale_after=_NEVER_STALE)
        if len(hints) < count:
            self._dry[job.id] = time.monotonic() + _DRY_SECONDS
        return hints

    def _planned_ahead(self, job: Job, window: int) -> Job:
        """Give the job rows for its next shards, a few times what the workers hold."""
        pending = job.shards_planned - job.shards_done - job.shards_leased
        counts = shard_counts(job, window - pending)
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


def _places(numerics: str, crew: Crew, asking: Mapping[str, Candidate], waiting: int) -> int:
    """How many more messages may wait for a crew."""
    longest = max((one.expected for one in asking.values() if one.numerics == numerics), default=0)
    return max(0, may_wait(crew.slots, longest) - waiting)


def shard_counts(job: Job, most: int) -> list[int]:
    """The sizes of the next shards without rows; the last of all may be smaller."""
    first = job.shards_planned
    return [
        min(job.shard_samples, job.total_samples - number * job.shard_samples)
        for number in range(first, min(job.shard_count, first + most))
    ]
