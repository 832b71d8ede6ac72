"""Giving a shard back without a result: released, failed, expired, or its worker dead."""

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select, update

from core.ledger import bars, events, jobs, leftovers, schema, trials
from core.ledger.claims import Claim, attempt_in
from core.ledger.clock import now
from core.ledger.engine import Ledger
from core.ledger.jobs import Job
from core.ledger.states import TERMINAL, JobState, ShardState
from core.ledger.trials import FAILURES
from core.messages import RenderHint

_jobs, _shards, _workers = schema.jobs, schema.shards, schema.workers
_LONGEST_ERROR = 2000
_LARGER_SECONDS = 1.0
_OUT_OF_MEMORY = "shard.out_of_memory"
_EXPIRED, _ORPHANED = _DEATHS = ("shard.expired", "shard.orphaned")


@dataclass(frozen=True, slots=True)
class _Fault:
    event: str
    kind: str
    message: str
    backoff: float
    limit: int


def release(ledger: Ledger, held: Claim) -> None:
    """Hand a shard back without penalty, to be rendered from its beginning."""
    _end_lease(ledger, held)


def fail(
    ledger: Ledger,
    held: Claim,
    kind: str,
    message: str,
    *,
    backoff: float,
    limit: int = 2 * FAILURES,
) -> ShardState:
    """Hand a shard back for a fault of its rendering, to be tried again after `backoff` seconds.

    After three failures it is rendered sample by sample. The failure that reaches the limit
    quarantines it and fails its job. Returns the state the shard is in, also when the lease was
    lost before.
    """
    text = f"{kind}: {message}"[:_LONGEST_ERROR]
    state = _end_lease(ledger, held, _Fault("shard.failed", kind, text, backoff, limit))
    return state or _state(ledger, held)


def exhaust(ledger: Ledger, held: Claim, message: str) -> ShardState:
    """Hand a shard back that its worker's memory did not suffice for, to one that has more."""
    fault = _Fault(_OUT_OF_MEMORY, "out of memory", message[:_LONGEST_ERROR], _LARGER_SECONDS, 0)
    return _end_lease(ledger, held, fault) or _state(ledger, held)


def take_back(ledger: Ledger, of_jobs: Collection[str], most: int) -> None:
    """Hand shards of these jobs back that workers render, those with the least progress first.

    Their holders hear of it between tiles, and lose no more than that.
    """
    held_for = (_shards.c.lease_until > 0) & _shards.c.job.in_(of_jobs)
    for held in _leased(ledger, held_for, first=_shards.c.progress)[:most]:
        _end_lease(ledger, held)


def expire(ledger: Ledger, *, limit: int = 2 * FAILURES) -> list[RenderHint]:
    """Take back the leases that ran out, each counted as a failure. Returns those attempts."""
    past = _shards.c.lease_until < now()
    fault = _Fault(_EXPIRED, "lease expired", "its lease ran out", 0.0, limit)
    return [held for held in _leased(ledger, past) if _end_lease(ledger, held, fault, past)]


def bereave(
    ledger: Ledger, worker: str, *, free: bool, limit: int = 2 * FAILURES
) -> list[RenderHint]:
    """Take back the leases of a worker that died; each is a failure, unless `free`."""
    died = _Fault(_ORPHANED, "worker died", f"worker {worker} died", 0.0, limit)
    fault = None if free else died
    held_by = (_shards.c.lease_until > 0) & (_shards.c.worker == worker)
    return [held for held in _leased(ledger, held_by) if _end_lease(ledger, held, fault)]


def _leased(
    ledger: Ledger,
    *where: ColumnElement[bool],
    first: ColumnElement[Any] = _shards.c.lease_until,
) -> list[RenderHint]:
    attempt = (_shards.c.job, _shards.c.number, _shards.c.attempt)
    query = select(*attempt).where(*where).order_by(first)
    with ledger.read() as connection:
        return [RenderHint(*row) for row in connection.execute(query)]


def _end_lease(
    ledger: Ledger,
    held: Claim | RenderHint,
    fault: _Fault | None = None,
    *still: ColumnElement[bool],
) -> ShardState | None:
    with ledger.write() as connection:
        job = jobs.lock(connection, held.job)
        ended = end(connection, job, held, fault, *still) if job else None
        if ended is None and not still:  # its holder had lost it, and may have sent something since
            leftovers.mark_within(connection, held.job)
        return ended


def end(
    connection: Connection,
    job: Job,
    held: Claim | RenderHint,
    fault: _Fault | None = None,
    *still: ColumnElement[bool],
) -> ShardState | None:
    """End a lease without a result. None when it was lost before; else the shard's new state.

    The sample that a worker tried alone as it died is given up; that is no failure of its shard.
    """
    over = job.state in TERMINAL
    blamed = _blame(connection, held, fault, *still) if fault and not over else False
    values = {"state": ShardState.CANCELLED} if over else _values(None if blamed else fault)
    ending = update(_shards).where(*attempt_in(held, ShardState.LEASED), *still)
    row = connection.execute(
        ending.values(lease_until=None, progress=0, trying=None, **values).returning(
            _shards.c.state, _shards.c.failures, _shards.c.worker
        )
    ).first()
    if row is None:
        return None
    counted = _counted(job, fault) if fault and not over else {}
    less = update(_jobs).where(_jobs.c.id == job.id)
    less = less.values(shards_leased=_jobs.c.shards_leased - 1, **leftovers.one_more(), **counted)
    connection.execute(less)
    if not over:
        _tell(connection, held, fault, row.worker, row.failures)
    state = ShardState(row.state)
    if state is ShardState.QUARANTINED and fault:
        error = f"shard {held.shard} failed {row.failures} times, at last: {fault.message}"
        jobs.move_within(connection, job.id, JobState.FAILED, error=error)
    return state


def _blame(
    connection: Connection, held: Claim | RenderHint, fault: _Fault, *still: ColumnElement[bool]
) -> bool:
    """Give up the sample that was tried alone, if one was."""
    if fault.event not in _DEATHS:
        return False
    query = select(_shards.c.trying).where(*attempt_in(held, ShardState.LEASED), *still)
    key = connection.execute(query).scalar()
    if key is not None:
        reason = f"{fault.message} while this sample was rendered alone"
        trials.leave_out(connection, held, key, reason)
    return key is not None


def _values(fault: _Fault | None) -> dict[str, Any]:
    if fault is None:
        return {"state": ShardState.PENDING}
    if fault.event == _OUT_OF_MEMORY:
        has = select(_workers.c.memory).where(_workers.c.id == _shards.c.worker)
        return {
            "state": ShardState.PENDING,
            "error": fault.message,
            "memory": func.coalesce(has.scalar_subquery(), 0),
            "not_before": now() + fault.backoff,
        }
    spent = _shards.c.failures + 1 >= fault.limit
    return {
        "state": case((spent, ShardState.QUARANTINED), else_=ShardState.PENDING),
        "failures": _shards.c.failures + 1,
        "error": fault.message,
        "not_before": now() + fault.backoff,
    }


def _counted(job: Job, fault: _Fault) -> dict[str, str]:
    """The failures of a job, its row locked, with this one."""
    failures = Counter(job.failures)
    failures[fault.kind] += 1
    return {"failures": json.dumps(failures, sort_keys=True)}


def _tell(
    connection: Connection,
    held: Claim | RenderHint,
    fault: _Fault | None,
    worker: str,
    failures: int,
) -> None:
    if fault is None:
        events.add(connection, held.job, "shard.released", held.shard, worker, attempt=held.attempt)
        return
    told = {"attempt": held.attempt, "failures": failures, "error": fault.message}
    events.add(connection, held.job, fault.event, held.shard, worker, **told)
    cut_off = fault.event == _EXPIRED and _silent(connection, worker)
    if fault.event != _OUT_OF_MEMORY and not cut_off:
        bars.strike(connection, held.job, worker)
    counting = update(_workers).where(_workers.c.id == worker)
    connection.execute(counting.values(failures=_workers.c.failures + 1))


def _silent(connection: Connection, worker: str) -> bool:
    """Whether nothing was heard of a worker: then it may have been cut off, or its machine lost."""
    gone = select(_workers.c.id).where(_workers.c.id == worker, _workers.c.state == "gone")
    return connection.execute(gone).first() is not None


def _state(ledger: Ledger, held: Claim) -> ShardState:
    query = select(_shards.c.state).where(_shards.c.job == held.job, _shards.c.number == held.shard)
    with ledger.read() as connection:
        return ShardState(connection.execute(query).scalar() or ShardState.CANCELLED)
