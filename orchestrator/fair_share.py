"""Who gets the next free place: pure, so that it can be argued about and tested.

Weighted deficit round robin over owners, and over the jobs of each, charged in seconds of a slot.
A shard is charged what it is expected to take when it gets its place, and set right by what it
took when it is done. Of one that failed the charge stays, for it kept a slot busy; one that a
worker refused or handed back costs nothing. A place goes to the owner who was charged least for its
weight: that is the round robin whose quantum is as small as can be, with the rounds left out in
which nobody could go.

Priority orders the jobs of one owner. Across owners only weights count, so nobody starves. Each
numerics class is shared by itself: its seconds are worth something else.
"""

import heapq
import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

_LEAST_SECONDS = 0.001
"""A shard costs no less, or a job whose shards take no time would always be next."""

_LONG_SECONDS = 1.0


class Candidate(NamedTuple):
    """A job that may run.

    `wanting` counts its shards that could be sent now, `under_way` those that are leased or wait
    in the broker, `done` those that took `spent` seconds; the next is `expected` to take as many.
    `failed` counts the failures of its shards.
    """

    job: str
    owner: str
    priority: int
    numerics: str
    wanting: int
    under_way: int
    done: int
    spent: float
    expected: float
    failed: int = 0


_Turn = tuple[int, float, str, int, Candidate]


class FairShare:
    """Accounts of owners and jobs from look to look; owners without a weight have 1."""

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self._weights = weights or {}
        self._accounts: dict[str, _Account] = {}
        self._owners: dict[str, _Ring] = {}
        self._jobs: dict[tuple[str, str, int], _Ring] = {}

    def unsettled(self, running: Collection[str]) -> list[str]:
        """Jobs not among these whose last shards are still to be set right."""
        return [
            job for job, account in self._accounts.items() if account.open and job not in running
        ]

    def settle(self, candidates: Iterable[Candidate], ended: Iterable[Candidate] = ()) -> None:
        """Set right what was charged for the shards that are done; jobs left out are forgotten."""
        there = list(candidates)
        for each in (*there, *ended):
            account = self._accounts.get(each.job) or self._open(each)
            if account.done != each.done or len(account.open) > each.under_way:
                self._set_right(account, each)
        if len(self._accounts) > len(there):
            self._accounts = {each.job: self._accounts[each.job] for each in there}
            kept = {_group(each) for each in there}
            self._jobs = {key: ring for key, ring in self._jobs.items() if key in kept}

    def share(self, candidates: Iterable[Candidate], places: Mapping[str, int]) -> list[str]:
        """The jobs that get the free places of each class, one entry a place, in order; each is
        charged for it. All were settled.
        """
        asking = [each for each in candidates if each.wanting > 0]
        chosen: list[str] = []
        for numerics, count in sorted(places.items()):
            of_class = [each for each in asking if each.numerics == numerics]
            if count > 0 and of_class:
                chosen += self._turns(numerics, of_class, count)
        return chosen

    def take_back(self, one: Candidate) -> None:
        """The last place that this job got was not used: it is not charged."""
        self._charge(one, -self._accounts[one.job].open.pop())

    def first(self, candidates: Iterable[Candidate], numerics: str) -> str | None:
        """The job that would get the next place of this class; nobody is charged."""
        asking = [e for e in candidates if e.wanting > 0 and e.numerics == numerics]
        turns, queues = self._line(numerics, asking)
        return queues[turns[0][1]][0][2] if turns else None

    def _turns(self, numerics: str, asking: Iterable[Candidate], count: int) -> Iterable[str]:
        turns, queues = self._line(numerics, asking)
        owners = self._owner_ring(numerics)
        while turns and count:
            owner = heapq.heappop(turns)[1]
            yield self._serve(queues[owner])
            count -= 1
            if queues[owner]:
                heapq.heappush(turns, (owners.level(owner), owner))

    def _line(
        self, numerics: str, asking: Iterable[Candidate]
    ) -> tuple[list[tuple[float, str]], dict[str, list[_Turn]]]:
        """The owners in the order of their turns, and the jobs of each in theirs, both heaps."""
        by_owner: dict[str, list[Candidate]] = {}
        for each in asking:
            by_owner.setdefault(each.owner, []).append(each)
        owners = self._owner_ring(numerics)
        owners.compete(by_owner)
        queues = {owner: self._queue(jobs) for owner, jobs in by_owner.items()}
        turns = [(owners.level(owner), owner) for owner in by_owner]
        heapq.heapify(turns)
        return turns, queues

    def _queue(self, jobs: Iterable[Candidate]) -> list[_Turn]:
        """An owner's jobs, the most urgent first, then those that were charged least."""
        groups: dict[int, list[Candidate]] = {}
        for each in jobs:
            groups.setdefault(each.priority, []).append(each)
        queue = []
        for members in groups.values():
            ring = self._job_ring(_group(members[0]))
            ring.compete([each.job for each in members])
            queue += [(-e.priority, ring.level(e.job), e.job, e.wanting, e) for e in members]
        heapq.heapify(queue)
        return queue

    def _serve(self, queue: list[_Turn]) -> str:
        urgency, _, job, wanting, one = heapq.heappop(queue)
        seconds = max(one.expected, _LEAST_SECONDS)
        self._accounts[job].open.append(seconds)
        self._charge(one, seconds)
        if wanting > 1:
            level = self._job_ring(_group(one)).level(job)
            heapq.heappush(queue, (urgency, level, job, wanting - 1, one))
        return job

    def _open(self, one: Candidate) -> "_Account":
        """What is under way already, by an earlier leader's choice, counts from now on."""
        account = self._accounts[one.job] = _Account(one.done, one.spent, one.failed)
        account.open.extend([max(one.expected, _LEAST_SECONDS)] * one.under_way)
        if one.under_way:
            self._charge(one, sum(account.open))
        return account

    def _set_right(self, account: "_Account", one: Candidate) -> None:
        done, spent = one.done - account.done, one.spent - account.spent
        failed = one.failed - account.failed
        account.done, account.spent, account.failed = one.done, one.spent, one.failed
        if known := min(done, len(account.open)):  # another leader's choices are its own affair
            charged = sum(account.open.popleft() for _ in range(known))
            self._charge(one, max(spent / done, _LEAST_SECONDS) * known - charged)
        back = [account.open.popleft() for _ in range(len(account.open) - one.under_way)]
        self._charge(one, -sum(back[max(0, failed) :]))

    def _charge(self, one: Candidate, seconds: float) -> None:
        weight = self._weights.get(one.owner, 1.0)
        self._owner_ring(one.numerics).charge(one.owner, seconds / weight)
        self._job_ring(_group(one)).charge(one.job, seconds)

    def _owner_ring(self, numerics: str) -> "_Ring":
        return self._owners.setdefault(numerics, _Ring())

    def _job_ring(self, group: tuple[str, str, int]) -> "_Ring":
        return self._jobs.setdefault(group, _Ring())


@dataclass(slots=True)
class _Account:
    """The shards of a job that were set right, and what was charged for those under way."""

    done: int
    spent: float
    failed: int
    open: deque[float] = field(default_factory=deque)


class _Ring:
    """Those that compete for the same places, each with what it was charged by its weight.

    Whoever comes begins with the least of those that are there, and goes before it: to have been
    away, or to have wanted nothing, is no credit. Debts stay until the others have come up to them.
    """

    def __init__(self) -> None:
        self._levels: dict[str, float] = {}
        self._there: frozenset[str] = frozenset()
        self._floor = 0.0

    def compete(self, names: Collection[str]) -> None:
        """These want a place now, and nobody else does."""
        stayed = [self._levels[name] for name in names if name in self._there]
        self._floor = min(stayed, default=self._floor)
        first = math.nextafter(self._floor, -math.inf)
        for name in names:
            if name not in self._there:
                self._levels[name] = max(self._levels.get(name, first), first)
        self._there = frozenset(names)
        self._levels = {
            name: level
            for name, level in self._levels.items()
            if name in self._there or level > self._floor
        }

    def level(self, name: str) -> float:
        return self._levels.get(name, self._floor)

    def charge(self, name: str, seconds: float) -> None:
        self._levels[name] = self.level(name) + seconds


def may_wait(slots: int, seconds: float) -> int:
    """Shards that may wait for this many slots, when one takes so many seconds: one a slot.

    Of long ones a shard fewer: then a newcomer's starts before all that are at work have ended. A
    single slot would idle without one: there it makes way instead.
    """
    return slots - 1 if slots > 1 and seconds > _LONG_SECONDS else slots


def are_short(seconds: float) -> bool:
    """Whether a newcomer may well wait for two shards that take so long. Of shards whose time is
    not known yet, nobody can say so.
    """
    return seconds < _LONG_SECONDS


def _group(one: Candidate) -> tuple[str, str, int]:
    """The jobs among which one takes turns."""
    return one.numerics, one.owner, one.priority
