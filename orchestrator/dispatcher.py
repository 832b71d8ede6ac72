"""Hints to the workers: as many as they can take, shared fairly, sent again when they were lost."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import structlog

from core.errors import NotFoundError
from core.faults import Point, reach
from core.ledger import Ledger, jobs, shards, workers
from core.ledger.hints import recall
from core.ledger.jobs import OpenJob
from core.messages import RenderHint, queue
from core.settings import Settings
from orchestrator.crew import Crew, candidate, crews, freest
from orchestrator.fair_share import Candidate, FairShare, are_short, may_wait
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
        """Send what can be sent; the seconds until the next look, sooner while much is done.

        A look costs the same for one shard as for many, so it waits for some to come together: yet
        not so long that a slot could find no message, which is when half of them were taken.
        """
        there = crews(workers.live(self._ledger, silent_after(self._settings)))
        soon = bool(there) and self._send(there)
        self._pause = _SOONEST if soon else min(2 * self._pause, _LATEST)
        return self._pause

    def _send(self, there: Mapping[str, Crew]) -> bool:
        """Whether something was sent where at most half of the messages still waited."""
        waiting = {name: self._publisher.waiting(queue(name)) for name in there}
        room = {name: there[name].slots - waiting[name] for name in there}
        hinted = shards.queued_by_job(self._ledger)
        explained = sum(hinted.values()) <= sum(waiting.values())
        lone = {name for name in there if there[name].slots == waiting[name] == 1}
        called = max(room.values()) > 0 or (lone and jobs.any_planned(self._ledger))
        if not called and explained and self._unexplained_since is None:
            return False
        runnable = {job.id: job for job in jobs.runnable(self._ledger)}
        self._recover_lost(_by_class(hinted, runnable), waiting)
        asking = self._asking(runnable.values(), there, waiting, hinted)
        self._fair.settle(asking.values(), self._ended(asking))
        places = {name: _places(name, there[name], asking, waiting[name]) for name in there}
        places |= dict.fromkeys(self._make_way(lone, asking, hinted), 1)
        window = _WINDOW * sum(crew.slots for crew in there.values())
        sent = self._send_shares(asking, runnable, places, window)
        return any(2 * waiting[name] <= there[name].slots for name in sent)

    def _asking(
        self,
        runnable: Iterable[OpenJob],
        there: Mapping[str, Crew],
        waiting: Mapping[str, int],
        hinted: Mapping[str, int],
    ) -> dict[str, Candidate]:
        now = time.monotonic()
        self._dry = {job: until for job, until in self._dry.items() if until > now}
        room = {
            name: may_wait(crew.slots, math.inf) - waiting[name] for name, crew in there.items()
        }
        free, nobody = freest(there, room), Crew()
        found = dict[str, Candidate]()
        for job in runnable:
            numerics = job.numerics or free
            crew = there.get(numerics, nobody)
            dry = job.id in self._dry
            found[job.id] = candidate(job, numerics, crew, hinted.get(job.id, 0), dry=dry)
        return found

    def _make_way(
        self, lone: Iterable[str], asking: Mapping[str, Candidate], hinted: Mapping[str, int]
    ) -> Iterator[str]:
        """Classes of one slot where a newcomer would wait for two shards, the one at work and
        the one whose message waits: that message is recalled. No newcomer's own is.
        """
        for name in lone:
            those = [one for one in asking.values() if one.numerics == name]
            ahead = [one for one in those if one.job in hinted]
            if any(_is_new(one, hinted) or are_short(one.expected) for one in ahead):
                continue
            first = self._fair.first(those, name)
            if first and _is_new(asking[first], hinted):
                recall(self._ledger, [one.job for one in ahead])
                yield name

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
        runnable: dict[str, OpenJob],
        places: Mapping[str, int],
        window: int,
    ) -> set[str]:
        """The numerics classes that something was sent to."""
        shares = self._fair.share(asking.values(), places)
        hints = self._hints(runnable, asking, Counter(shares), window)
        sent = set()
        for job in shares:
            if hints[job]:
                reach(Point.HINTED, hints[job][0].shard)
                self._publisher.send(hints[job].pop(0), queue(asking[job].numerics))
                sent.add(asking[job].numerics)
            else:
                self._fair.take_back(asking[job])
        return sent

    def _hints(
        self,
        runnable: dict[str, OpenJob],
        asking: Mapping[str, Candidate],
        shares: Mapping[str, int],
        window: int,
    ) -> dict[str, list[RenderHint]]:
        """Some of a job's shards may be waiting after a failure: then others get its places."""
        for job, count in shares.items():
            left = runnable[job].shards_planned - asking[job].done - asking[job].under_way
            if left < count:
                self._plan_ahead(runnable, job, window)
        hints = shards.hint_all(self._ledger, shares, stale_after=_NEVER_STALE)
        lacking = {job: n for job, count in shares.items() if (n := count - len(hints[job]))}
        further = {job: n for job, n in lacking.items() if self._plan_ahead(runnable, job, window)}
        if further:
            more = shards.hint_all(self._ledger, further, stale_after=_NEVER_STALE)
            hints |= {job: hints[job] + found for job, found in more.items()}
        dry = time.monotonic() + _DRY_SECONDS
        self._dry |= {job: dry for job in lacking if len(hints[job]) < shares[job]}
        return hints

    def _plan_ahead(self, runnable: dict[str, OpenJob], name: str, window: int) -> bool:
        """Give a job rows for its next shards, a few times what the workers hold."""
        job = runnable[name]
        pending = job.shards_planned - job.shards_done - job.shards_leased
        counts = shard_counts(job, window - pending)
        if not counts or not shards.plan_rows(self._ledger, name, job.shards_planned, counts):
            return False
        runnable[name] = job._replace(shards_planned=job.shards_planned + len(counts))
        return True

    def _recover_lost(self, hinted: Mapping[str | None, int], waiting: Mapping[str, int]) -> None:
        """Hints that stay unclaimed beyond what waits in the broker were lost: forget them.

        They are compared class by class, or what waits in one for nobody would hide what another
        has lost. Hints of no class may wait in any.
        """
        now = time.monotonic()
        heard = sum(hinted.get(name, 0) for name in (None, *waiting))
        waits = sum(waiting.values())
        if heard <= waits and all(hinted.get(name, 0) <= waiting[name] for name in waiting):
            self._unexplained_since = None
        elif self._unexplained_since is None:
            self._unexplained_since = now
        elif now - self._unexplained_since > _LOST_SECONDS:
            forgotten = shards.unhint(self._ledger, _LOST_SECONDS)
            self._unexplained_since = None
            log.warning("hints.lost", hinted=heard, waiting=waits, forgotten=forgotten)


def _by_class(hinted: Mapping[str, int], runnable: Mapping[str, OpenJob]) -> Counter[str | None]:
    """How many hints wait for each numerics class; None is for jobs that have none, or ended."""
    found = Counter[str | None]()
    for job, count in hinted.items():
        found[runnable[job].numerics if job in runnable else None] += count
    return found


def _is_new(one: Candidate, hinted: Mapping[str, int]) -> bool:
    """Whether nobody has worked at this job yet."""
    begun = one.under_way - hinted.get(one.job, 0)
    return not (one.done or one.failed or begun)


def _places(numerics: str, crew: Crew, asking: Mapping[str, Candidate], waiting: int) -> int:
    """How many more messages may wait for a crew."""
    longest = max((one.expected for one in asking.values() if one.numerics == numerics), default=0)
    return max(0, may_wait(crew.slots, longest) - waiting)


def shard_counts(job: OpenJob, most: int) -> list[int]:
    """The sizes of the next shards without rows; the last of all may be smaller."""
    first = job.shards_planned
    return [
        min(job.shard_samples, job.total_samples - number * job.shard_samples)
        for number in range(first, min(job.shard_count, first + most))
    ]
