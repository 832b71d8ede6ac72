"""How many workers the work that waits is worth: the signal for whoever starts and ends machines.

Outstanding GPU-seconds, queued plus leased, over the time in which they should be done; never
the number of messages, which stays as small as the fleet.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import UsageError
from core.ledger import Ledger, events, jobs, workers
from core.ledger.jobs import OpenJob
from core.ledger.workers import Worker
from core.settings import Settings
from orchestrator.crew import Crew, crews, expected_seconds, freest

ANY = ""
"""The class of jobs that any worker may begin, while none is there that may."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Work should be done in `target` seconds, by `least` to `most` workers of a class; without
    any for `idle` seconds, none but the least are wanted. A new worker has so many `slots`.
    """

    target: float
    idle: float
    least: int
    most: int
    slots: int


@dataclass(frozen=True, slots=True)
class Demand:
    """What a numerics class has to do: `gpu_seconds` of the shards of its jobs that are not done.
    `workers` take work now, and `wanted` should.
    """

    numerics: str
    device: str
    jobs: int
    gpu_seconds: float
    workers: int
    wanted: int


def goal(settings: Settings, least: int, most: int) -> Goal:
    """Raises UsageError when nothing is between the bounds."""
    if least > most:
        raise UsageError(f"min = {least}: it is above max, which is {most}.")
    return Goal(settings.drain_target_seconds, settings.idle_seconds, least, most, settings.slots)


def measured(ledger: Ledger | None, silent_after: float, goal: Goal) -> list[Demand]:
    """The demand of each class as a ledger, if there is one yet, has it now."""
    if ledger is None:
        return demands((), (), (), None, goal)
    live = workers.live(ledger, silent_after)
    quiet = events.quiet_for(ledger)
    return demands(jobs.runnable(ledger), workers.list(ledger), live, quiet, goal)


def demands(
    runnable: Iterable[OpenJob],
    known: Sequence[Worker],
    live: Iterable[Worker],
    quiet: float | None,
    goal: Goal,
) -> list[Demand]:
    """The demand of each class that has work or workers; at least one is told.

    `known` workers tell of classes which nobody `live` is of; nothing has happened to any job for
    `quiet` seconds.
    """
    there = crews(live)
    by_class: dict[str, list[OpenJob]] = {name: [] for name in there}
    free = freest(there, {name: crew.slots for name, crew in there.items()})
    for job in runnable:
        by_class.setdefault(job.numerics or free, []).append(job)
    devices = {worker.numerics: worker.device for worker in known}
    paces = _paces(known)
    return [
        _demand(name, devices, asking, there.get(name, paces.get(name, Crew())), quiet, goal)
        for name, asking in sorted((by_class or {ANY: []}).items())
    ]


def _paces(known: Iterable[Worker]) -> dict[str, Crew]:
    """What classes whose workers are gone have shown."""
    found = dict[str, Crew]()
    for worker in known:
        before = found.get(worker.numerics, Crew())
        found[worker.numerics] = Crew(
            samples=before.samples + worker.samples_done,
            seconds=before.seconds + worker.render_seconds,
        )
    return found


def _demand(
    name: str,
    devices: Mapping[str, str],
    asking: Sequence[OpenJob],
    crew: Crew,
    quiet: float | None,
    goal: Goal,
) -> Demand:
    each = crew.each if crew.workers else goal.slots
    left = {job.id: _outstanding(job, crew) for job in asking}
    slots = sum(min(left[job.id] / goal.target, _useful(job, each)) for job in asking)
    wanted = math.ceil(slots / each)
    if not asking and crew.workers and quiet is not None and quiet < goal.idle:
        wanted = 1  # whose model stays loaded for what may come
    return Demand(
        numerics=name,
        device=devices.get(name, ""),
        jobs=len(asking),
        gpu_seconds=sum(left.values()),
        workers=crew.workers,
        wanted=min(max(wanted, goal.least), goal.most),
    )


def _outstanding(job: OpenJob, crew: Crew) -> float:
    """Seconds of a slot for all that is not done, by the job's pace or else its class's."""
    left = job.total_samples - job.samples_drawn
    return expected_seconds(job, crew) * left / job.shard_samples


def _useful(job: OpenJob, each: int) -> float:
    """How many slots can work at a job at once."""
    shards = job.shard_count - job.shards_done
    return shards if job.workers is None else min(shards, job.workers * each)
