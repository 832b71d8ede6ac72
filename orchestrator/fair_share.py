"""Who gets the next free place: pure, so that it can be argued about and tested.

Higher priority goes first, whoever waits. Among equals a place goes to the owner with the fewest
shards under way, and among that owner's jobs to the one with the fewest: everybody holds the same
number of slots, however many jobs they split their work into and however long their shards take.
Ties go to whoever was served longest ago.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that could have more shards rendered.

    `under_way` counts its shards that are leased or waiting in the broker, `wanting` those that
    could be sent now; `served` orders jobs by when they last got a place, 0 for never.
    """

    job: str
    owner: str
    priority: int
    numerics: str
    under_way: int
    wanting: int
    served: int = 0


def share(candidates: Iterable[Candidate], places: Mapping[str, int]) -> list[str]:
    """The jobs that get the free places of each numerics class, one entry a place, in order."""
    asking = list(candidates)
    free, tally = dict(places), _Tally(asking)
    left = {each.job: each.wanting for each in asking}
    chosen: list[str] = []
    while able := [
        each for each in asking if left[each.job] > 0 and free.get(each.numerics, 0) > 0
    ]:
        best = min(able, key=tally.turn)
        tally.serve(best)
        left[best.job] -= 1
        free[best.numerics] -= 1
        chosen.append(best.job)
    return chosen


class _Tally:
    """What jobs and owners have under way, and when each was last served."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._served: Counter[tuple[str, str]] = Counter()
        for each in candidates:
            for who in (("owner", each.owner), ("job", each.job)):
                self._under_way[who] += each.under_way
                self._served[who] = max(self._served[who], each.served)
        self._clock = max(self._served.values(), default=0)

    def serve(self, one: Candidate) -> None:
        self._clock += 1
        for who in (("owner", one.owner), ("job", one.job)):
            self._under_way[who] += 1
            self._served[who] = self._clock

    def turn(self, one: Candidate) -> tuple[object, ...]:
        """Whose turn it is: the least of these."""
        owner, job = ("owner", one.owner), ("job", one.job)
        return (
            -one.priority,
            self._under_way[owner],
            self._served[owner],
            self._under_way[job],
            self._served[job],
            one.job,
        )
