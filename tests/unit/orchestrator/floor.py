"""A fleet in virtual time: slots that render what a dispatcher lets wait for them."""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orchestrator.fair_share import Candidate, FairShare, may_wait

CLASS = "cpu"


@dataclass
class Work:
    """A job; `seconds` gives what the shard of a number takes on a slot of speed 1."""

    name: str
    owner: str
    seconds: Callable[[int], float]
    shards: int = 10**9
    priority: int = 0
    most: int = 10**9
    begins: float = 0.0
    sent: int = 0
    done: int = 0
    spent: float = 0.0
    starts: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Stay:
    """A shard on a slot."""

    work: Work
    start: float
    end: float


class Floor:
    """Runs work on slots of these speeds; `stays` is what happened, in the order of the starts."""

    def __init__(
        self, jobs: Sequence[Work], speeds: Sequence[float], weights: dict[str, float] | None = None
    ) -> None:
        self.stays: list[Stay] = []
        self.weights = weights or {work.owner: 1.0 for work in jobs}
        self._jobs, self._speeds = jobs, speeds
        self._fair = FairShare(weights)
        self._waiting: deque[tuple[Work, int]] = deque()
        self._idle = deque(range(len(speeds)))
        self._busy: list[tuple[float, int, float, Work]] = []  # end, slot, start, whose
        self._now = 0.0

    def run(self, seconds: float) -> None:
        while self._now < seconds:
            self._step()
            begins = [work.begins for work in self._jobs if work.begins > self._now]
            self._now = min([*begins, *(stay[0] for stay in self._busy[:1]), seconds])
            while self._busy and self._busy[0][0] <= self._now:
                self._end()

    def minute(self, start: float) -> dict[str, tuple[float, float]]:
        """The seconds of the slots that each owner got in the minute from a time, and its due."""
        held = dict.fromkeys(self.weights, 0.0)
        for stay in self.stays:
            within = min(stay.end, start + 60.0) - max(stay.start, start)
            held[stay.work.owner] += max(0.0, within)
        part = sum(held.values()) / sum(self.weights.values())
        return {owner: (got, part * self.weights[owner]) for owner, got in held.items()}

    def _step(self) -> None:
        """Slots take what waits and the dispatcher looks, until nothing more happens."""
        while self._take() or self._send():
            pass

    def _take(self) -> bool:
        taken = min(len(self._idle), len(self._waiting))
        for _ in range(taken):
            slot, (work, number) = self._idle.popleft(), self._waiting.popleft()
            end = self._now + work.seconds(number) / self._speeds[slot]
            work.starts.append(self._now)
            self.stays.append(Stay(work, self._now, end))
            heapq.heappush(self._busy, (end, slot, self._now, work))
        return taken > 0

    def _send(self) -> bool:
        free = may_wait(len(self._speeds), self._mean()) - len(self._waiting)
        if free <= 0:
            return False
        there = [
            work for work in self._jobs if work.begins <= self._now and work.done < work.shards
        ]
        asking = {work.name: self._candidate(work) for work in there}
        ended = self._fair.unsettled(asking)
        over = [self._candidate(work) for work in self._jobs if work.name in ended]
        self._fair.settle(asking.values(), over)
        chosen = self._fair.share(asking.values(), {CLASS: free})
        named = {work.name: work for work in there}
        for name in chosen:
            self._waiting.append((named[name], named[name].sent))
            named[name].sent += 1
        return bool(chosen)

    def _end(self) -> None:
        end, slot, start, work = heapq.heappop(self._busy)
        work.done += 1
        work.spent += end - start
        self._idle.append(slot)

    def _mean(self) -> float:
        done = sum(work.done for work in self._jobs)
        return sum(work.spent for work in self._jobs) / done if done else 1.0

    def _candidate(self, work: Work) -> Candidate:
        under_way = work.sent - work.done
        return Candidate(
            job=work.name,
            owner=work.owner,
            priority=work.priority,
            numerics=CLASS,
            wanting=max(0, min(work.shards - work.sent, work.most - under_way)),
            under_way=under_way,
            done=work.done,
            spent=work.spent,
            expected=work.spent / work.done if work.done else self._mean(),
        )
