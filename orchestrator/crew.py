"""The live workers of a numerics class, and what of a job they could take on."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.ledger.jobs import Job, OpenJob
from core.ledger.workers import Order, Worker, WorkerState
from core.request.plan import RENDERER_VERSION
from orchestrator.fair_share import Candidate

_UNKNOWN_SECONDS = 1.0
"""Of a shard, before anything was measured: then all are charged alike."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers that take work: how many, the slots of all, and the samples that they rendered.

    `current`: their renderer is of the version for which this program plans jobs.
    """

    workers: int = 0
    slots: int = 0
    samples: int = 0
    seconds: float = 0.0
    current: bool = True

    @property
    def each(self) -> int:
        """Slots of a worker, rounded up."""
        return -(-self.slots // self.workers)


def crews(live: Iterable[Worker]) -> dict[str, Crew]:
    """Those that take work, by numerics class."""
    found = dict[str, Crew]()
    for worker in live:
        if worker.state == WorkerState.READY and worker.order == Order.RUN and worker.slots:
            crew = found.get(worker.numerics, Crew())
            found[worker.numerics] = replace(
                crew,
                workers=crew.workers + 1,
                slots=crew.slots + worker.slots,
                samples=crew.samples + worker.samples_done,
                seconds=crew.seconds + worker.render_seconds,
                current=current(worker.numerics_facts),
            )
    return found


def current(facts: Mapping[str, Any]) -> bool:
    """Whether a class renders what this program plans: renderers of other versions draw otherwise,
    under the same request's digest. A fake one has no version.
    """
    version = facts.get("renderer")
    return version == RENDERER_VERSION or not isinstance(version, int)


def freest(there: Mapping[str, Crew], room: Mapping[str, int]) -> str:
    """The numerics class for jobs that no worker has claimed from yet: where most slots are, of
    the current classes that have room. Their first claim binds them to it. Empty where there is
    none.
    """
    able = (name for name in there if there[name].current)
    return max(able, key=lambda name: (room[name] > 0, there[name].slots, name), default="")


def candidate(
    job: Job | OpenJob, numerics: str, crew: Crew, hinted: int, *, dry: bool = False
) -> Candidate:
    """A job beside the crew of its class; a `dry` one has nothing to send for now.

    It is asked for every open job at every look, so its facts go by their places: names would take
    half as long again.
    """
    under_way, done = job.shards_leased + hinted, job.shards_done
    wanting = 0 if dry else job.shard_count - done - under_way
    if job.workers is not None and crew.workers:
        wanting = min(wanting, job.workers * crew.each - under_way)
    failed = 0 if job.failures == "{}" else _failed(job.failures)
    seconds = expected_seconds(job, crew)
    return Candidate(
        job.id, job.owner, job.priority, numerics,
        max(0, wanting), under_way, done, job.render_seconds, seconds, failed,
    )  # fmt: skip


def _failed(failures: Mapping[str, int] | str) -> int:
    """How often shards of a job failed."""
    return sum((json.loads(failures) if isinstance(failures, str) else failures).values())


def expected_seconds(job: Job | OpenJob, crew: Crew) -> float:
    """Seconds of a slot for a shard: by the job's own measured pace, else by the crew's."""
    if job.samples_drawn and job.render_seconds:
        return job.render_seconds / job.samples_drawn * job.shard_samples
    if crew.samples and crew.seconds:
        return crew.seconds / crew.samples * job.shard_samples
    return _UNKNOWN_SECONDS
