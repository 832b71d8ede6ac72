"""The rows of shards: planned lazily, read when they are done."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from sqlalchemy import case, func, insert, select, update

from core.ledger import jobs, schema
from core.ledger.claims import Claim, Orders, Result
from core.ledger.engine import Ledger
from core.ledger.hints import hint, hint_all, queued, queued_by_job, unhint
from core.ledger.leases import claim, commit, orders, renew
from core.ledger.returns import exhaust, expire, fail, release
from core.ledger.states import TERMINAL, ShardState
from core.ledger.trials import FAILURES, give_up, trying

__all__ = [
    "FAILURES",
    "Claim",
    "DoneShard",
    "InHand",
    "Orders",
    "Origin",
    "Progress",
    "Result",
    "claim",
    "commit",
    "done",
    "exhaust",
    "expire",
    "fail",
    "give_up",
    "hint",
    "hint_all",
    "in_hand",
    "orders",
    "origin",
    "plan_rows",
    "progress",
    "queued",
    "queued_by_job",
    "release",
    "renew",
    "repacked",
    "trying",
    "unhint",
]

_jobs, _shards = schema.jobs, schema.shards


@dataclass(frozen=True, slots=True)
class DoneShard:
    """A shard that was committed, and where it lies."""

    number: int
    samples: int
    key: str
    sha256: str
    size: int
    part_key: str
    part_sha256: str
    samples_digest: str
    seconds: float


class Origin(NamedTuple):
    """The worker that made a shard, at which attempt, in how many seconds."""

    worker: str
    attempt: int
    seconds: float


class Progress(NamedTuple):
    """Of a job's shards under way: how many, the samples rendered so far in all of them, in so
    many seconds, and the seconds a sample where it goes fastest and slowest, once that is known.
    """

    samples: int = 0
    leased: int = 0
    seconds: float = 0.0
    fastest: float | None = None
    slowest: float | None = None


class InHand(NamedTuple):
    """A shard that a worker renders: `progress` of its `samples` so far, in `seconds`."""

    worker: str
    job: str
    shard: int
    samples: int
    progress: int
    seconds: float


def plan_rows(ledger: Ledger, job_id: str, first: int, counts: Sequence[int]) -> bool:
    """Add the rows of shards `first`, `first + 1`, ... with so many samples each.

    False when the job has ended, or its rows do not end at `first`: another was faster.
    """
    rows = [
        {"job": job_id, "number": number, "samples": samples, "state": ShardState.PENDING}
        for number, samples in enumerate(counts, first)
    ]
    reached = update(_jobs).where(
        _jobs.c.id == job_id, _jobs.c.shards_planned == first, _jobs.c.state.not_in(TERMINAL)
    )
    with ledger.write() as connection:
        if not connection.execute(reached.values(shards_planned=first + len(rows))).rowcount:
            return False
        if rows:
            connection.execute(insert(_shards), rows)
    return True


def done(ledger: Ledger, job_id: str, after: int = -1, limit: int = 1000) -> list[DoneShard]:
    """The done shards with numbers above `after`, in order."""
    columns = [_shards.c[field.name] for field in fields(DoneShard)]
    query = (
        select(*columns)
        .where(
            _shards.c.job == job_id, _shards.c.state == ShardState.DONE, _shards.c.number > after
        )
        .order_by(_shards.c.number)
        .limit(limit)
    )
    with ledger.read() as connection:
        return [DoneShard(*row) for row in connection.execute(query)]


def repacked(ledger: Ledger, job_id: str, shard: DoneShard) -> None:
    """A done shard's tar file is now this one, of the same sprites."""
    mine = (_shards.c.job == job_id, _shards.c.number == shard.number)
    was = select(_shards.c.size).where(*mine, _shards.c.state == ShardState.DONE)
    with ledger.write() as connection:
        jobs.lock(connection, job_id)
        size = connection.execute(was).scalar_one()
        file = {"key": shard.key, "sha256": shard.sha256, "size": shard.size}
        connection.execute(update(_shards).where(*mine).values(file))
        grown = _jobs.c.bytes_done + shard.size - size
        connection.execute(update(_jobs).where(_jobs.c.id == job_id).values(bytes_done=grown))


def origin(ledger: Ledger, job_id: str, number: int) -> Origin | None:
    """Who made a shard; None when this ledger does not know."""
    query = select(_shards.c.worker, _shards.c.attempt, _shards.c.seconds).where(
        _shards.c.job == job_id, _shards.c.number == number, _shards.c.state == ShardState.DONE
    )
    with ledger.read() as connection:
        row = connection.execute(query).first()
    return Origin(*row) if row else None


def progress(ledger: Ledger, job_id: str) -> Progress:
    """What the shards under way have come to."""
    made, took = _shards.c.progress, func.coalesce(_shards.c.seconds, 0.0)
    pace = case((made > 0, took / made))
    totals = (func.coalesce(func.sum(each), 0) for each in (made, took))
    query = select(func.count(), *totals, func.min(pace), func.max(pace)).where(
        _shards.c.job == job_id, _shards.c.state == ShardState.LEASED
    )
    with ledger.read() as connection:
        leased, samples, seconds, fastest, slowest = connection.execute(query).one()
    return Progress(int(samples), leased, float(seconds), fastest, slowest)


def in_hand(ledger: Ledger) -> list[InHand]:
    """All shards that workers render now."""
    taken = (_shards.c.worker, _shards.c.job, _shards.c.number, _shards.c.samples)
    made = (_shards.c.progress, func.coalesce(_shards.c.seconds, 0.0))
    query = select(*taken, *made).where(_shards.c.lease_until > 0)
    with ledger.read() as connection:
        # to order them there, SQLite would read every shard in that order
        return sorted(InHand(*row) for row in connection.execute(query))
