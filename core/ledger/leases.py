"""Holding a shard: claim, renew, commit.

`attempt` fences: each statement names it, so whoever lost the shard changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache

from sqlalchemy import Connection, Update, bindparam, func, select, update

from core.faults import Point, reach
from core.ledger import bars, events, jobs, limits, outright, refusals, returns, schema
from core.ledger.claims import Claim, Orders, Result, attempt_in, attempt_named, naming
from core.ledger.clock import now
from core.ledger.engine import Ledger
from core.ledger.jobs import Job
from core.ledger.states import RUNNABLE, TERMINAL, JobState, ShardState
from core.messages import RenderHint

_jobs, _shards, _workers = schema.jobs, schema.shards, schema.workers
_TAKEN = (_shards.c.attempt, _shards.c.samples, _shards.c.failures, _shards.c.given_up)
_LATER_SECONDS = 1.0


def claim(
    ledger: Ledger,
    hint: RenderHint,
    worker: str,
    numerics: str,
    lease: float,
    *,
    again: bool = False,
) -> Claim | None:
    """Lease the hinted attempt for so many seconds, and bind the job to this class of arithmetic.

    None when it is taken, when the job does not run, or is bound to another class, or when this
    worker is kept off. A hint refused for the job's sake may be sent again at once, one refused
    for the worker's a little later, so that another hears it. Asked `again`, because the answer
    was lost, what this worker has taken by this hint is its own.
    """
    if ledger.postgresql and (held := outright.claim(ledger, hint, worker, numerics, lease)):
        return held
    if again and (held := _held(ledger, hint, worker)):
        return held
    return _claim(ledger, hint, worker, numerics, lease)


def _held(ledger: Ledger, hint: RenderHint, worker: str) -> Claim | None:
    taken = replace(hint, attempt=hint.attempt + 1)
    mine = (*attempt_in(taken, ShardState.LEASED), _shards.c.worker == worker)
    query = select(*_TAKEN, _jobs.c.model, _jobs.c.weights)
    with ledger.read() as connection:
        row = connection.execute(
            query.join(_jobs, _jobs.c.id == _shards.c.job).where(*mine)
        ).first()
    if row is None:
        return None
    held = (hint.job, hint.shard, row.attempt, row.samples, row.model, row.weights)
    return Claim(*held, row.failures, json.loads(row.given_up))


def _claim(
    ledger: Ledger, hint: RenderHint, worker: str, numerics: str, lease: float
) -> Claim | None:
    attempt = attempt_in(hint, ShardState.PENDING)
    with ledger.write() as connection:
        job = jobs.lock(connection, hint.job)
        if job is None:
            return None
        over = limits.pause_if_over(connection, job)
        if over or job.state not in RUNNABLE or job.numerics not in (None, numerics):
            connection.execute(update(_shards).where(*attempt).values(hinted_at=None))
            return None
        if bars.barred(connection, hint, worker, numerics):
            later = {"hinted_at": None, "not_before": now() + _LATER_SECONDS}
            connection.execute(update(_shards).where(*attempt).values(later))
            return None
        taking = update(_shards).where(*attempt).returning(*_TAKEN)
        row = connection.execute(taking.values(outright.taking(worker, lease))).first()
        if row is None:
            return None
        _start(connection, job, numerics)
        _tell(connection, job, hint, worker, numerics, row.failures)
        reach(Point.CLAIMING, hint.shard)
    held = (job.id, hint.shard, row.attempt, row.samples, job.model, job.weights)
    return Claim(*held, row.failures, json.loads(row.given_up))


def renew(ledger: Ledger, held: Claim, lease: float, progress: int, seconds: float = 0.0) -> Orders:
    """Lengthen the lease, telling how many samples are rendered, in so many seconds; hear what is
    ordered. A limit of the job that has passed pauses it.
    """
    news = {**naming(held), "for_seconds": lease, "so_far": progress, "took": seconds}
    with ledger.single() as connection:
        if not connection.execute(_renewing(), news).rowcount:
            return Orders.FENCED
    with ledger.read() as connection:
        job = jobs.read(connection, held.job)
    if job and job.state in RUNNABLE and limits.limited(job):
        job = limits.enforce(ledger, held.job)  # apart: it locks the job's row first
    return _orders(job)


def orders(
    ledger: Ledger, held: Claim, lease: float, progress: int, seconds: float = 0.0
) -> Orders:
    """Hear what is ordered, and write nothing, if the job has no limit. Else `renew`: a budget
    counts what was told.
    """
    holding = select(_shards.c.number).where(*attempt_in(held, ShardState.LEASED))
    with ledger.read() as connection:
        job = jobs.read(connection, held.job, holding.exists())
    if job is None:
        return Orders.FENCED
    if job.state in RUNNABLE and limits.limited(job):
        return renew(ledger, held, lease, progress, seconds)
    return _orders(job)


@cache
def _renewing() -> Update:
    news = {
        "lease_until": now() + bindparam("for_seconds"),
        "progress": bindparam("so_far", type_=_shards.c.progress.type),
        "seconds": bindparam("took", type_=_shards.c.seconds.type),
    }
    return update(_shards).where(*attempt_named(ShardState.LEASED)).values(news)


def _orders(job: Job | None) -> Orders:
    if job is None:
        return Orders.CANCEL
    if job.state is JobState.PAUSED:
        return Orders.GO if limits.drains(job) else Orders.STOP
    return Orders.GO if job.state in RUNNABLE else Orders.CANCEL


def commit(ledger: Ledger, held: Claim, result: Result) -> bool:
    """Record a shard as done and move the counters; the last one moves the job to finalizing.

    False when the lease was lost or the job has ended: then nothing was recorded. Committing the
    same result again is fine.
    """
    usual = ledger.postgresql and result.refusals is None
    if usual and outright.commit(ledger, held, result):
        return True
    return _commit(ledger, held, result)


def _commit(ledger: Ledger, held: Claim, result: Result) -> bool:
    found = {**asdict(result), "refusals": refusals.text(result.refusals)}
    done = update(_shards).where(*attempt_in(held, ShardState.LEASED))
    done = done.returning(_shards.c.worker, _shards.c.given_up)
    with ledger.write() as connection:
        job = jobs.lock(connection, held.job)
        if job is None:
            return False
        if job.state in TERMINAL:
            returns.end(connection, job, held)
            return False
        row = connection.execute(
            done.values(state=ShardState.DONE, lease_until=None, progress=0, **found)
        ).first()
        if row is None:
            return _is_done(connection, held, result)
        _count(connection, job, row.worker, result)
        _finish(connection, job, result, json.loads(row.given_up))
        reach(Point.COMMITTING, held.shard)
    return True


def _start(connection: Connection, job: Job, numerics: str) -> None:
    connection.execute(
        update(_jobs)
        .where(_jobs.c.id == job.id)
        .values(
            numerics=numerics,
            started_at=func.coalesce(_jobs.c.started_at, now()),
            shards_leased=_jobs.c.shards_leased + 1,
        )
    )
    if job.state is JobState.PLANNED:
        jobs.move_within(connection, job.id, JobState.RUNNING)


def _tell(
    connection: Connection, job: Job, hint: RenderHint, worker: str, numerics: str, failures: int
) -> None:
    """What is new to the job's story: its first claim binds it, a failed shard is tried again."""
    if job.numerics is None:
        events.add(connection, job.id, "job.bound", hint.shard, worker, numerics=numerics)
    if failures:
        told = {"attempt": hint.attempt + 1, "failures": failures}
        events.add(connection, job.id, "shard.retried", hint.shard, worker, **told)


def _count(connection: Connection, job: Job, worker: str, result: Result) -> None:
    connection.execute(
        update(_jobs)
        .where(_jobs.c.id == job.id)
        .values(outright.counting(result.samples, result.size, result.seconds))
    )
    connection.execute(
        update(_workers)
        .where(_workers.c.id == worker)
        .values(outright.crediting(result.samples, result.seconds))
    )


def _finish(connection: Connection, job: Job, result: Result, lost: Mapping[str, str]) -> None:
    """Move the job on, if this shard was the last, has drifted, or has shown that nothing works."""
    drifted = ""
    if result.refusals is not None:
        drifted = refusals.count(connection, job.id, result.samples, result.refusals)
    if lost and not job.samples_done + result.samples:
        key, reason = next(iter(lost.items()))
        error = f"no sample could be rendered, not even alone; {key}: {reason}"
        jobs.move_within(connection, job.id, JobState.FAILED, error=error)
    elif job.shards_done + 1 == job.shard_count:
        jobs.move_within(connection, job.id, JobState.FINALIZING)
    elif drifted:
        jobs.move_within(connection, job.id, JobState.PAUSED, error=drifted)


def _is_done(connection: Connection, held: Claim, result: Result) -> bool:
    """Whether an earlier commit of this result was kept although its answer was lost."""
    query = select(_shards.c.sha256).where(*attempt_in(held, ShardState.DONE))
    return connection.execute(query).scalar() == result.sha256
