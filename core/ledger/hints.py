"""Shards that a worker was told of: marked with the moment, counted, and forgotten when lost."""

from collections import Counter
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    String,
    bindparam,
    column,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from core.ledger import schema
from core.ledger.clock import now
from core.ledger.engine import Ledger
from core.ledger.states import RUNNABLE, ShardState
from core.messages import RenderHint

_jobs, _shards = schema.jobs, schema.shards
_marked = (_shards.c.job, _shards.c.number, _shards.c.attempt)
_hinted = _shards.c.hinted_at > 0  # a range, so that the index is searched
_hinted_jobs = select(_shards.c.job).where(_hinted)


def hint(ledger: Ledger, job_id: str, limit: int, *, stale_after: float) -> list[RenderHint]:
    """Mark the next shards that wait as hinted, now to be sent, in order.

    A shard whose hint is older than `stale_after` seconds is hinted again.
    """
    return hint_all(ledger, {job_id: limit}, stale_after=stale_after)[job_id]


def hint_all(
    ledger: Ledger, limits: Mapping[str, int], *, stale_after: float
) -> dict[str, list[RenderHint]]:
    """`hint` for several jobs at once, each with a limit of its own."""
    found: dict[str, list[RenderHint]] = {job: [] for job in limits}
    with ledger.single() as connection:
        ask = _of_all if ledger.postgresql else _of_each
        rows = sorted(tuple(row) for row in ask(connection, limits, stale_after))
    for job, number, attempt in rows:
        found[job].append(RenderHint(job, number, attempt))
    return found


def _of_all(connection: Connection, limits: Mapping[str, int], stale_after: float) -> list[Any]:
    told = {"of_jobs": list(limits), "at_most": list(limits.values()), "stale": stale_after}
    return list(connection.execute(_marking_all(), told))


def _of_each(connection: Connection, limits: Mapping[str, int], stale_after: float) -> list[Any]:
    return [
        row
        for job, limit in limits.items()
        for row in connection.execute(
            _marking_one(), {"of_job": job, "at_most": limit, "stale": stale_after}
        )
    ]


@cache
def _marking_all() -> ReturningUpdate[Any]:
    limits = (
        func.unnest(
            bindparam("of_jobs", type_=ARRAY(String)), bindparam("at_most", type_=ARRAY(BigInteger))
        )
        .table_valued(column("job", String), column("most", BigInteger))
        .render_derived(name="limits")
    )
    waiting = _waiting()
    runs = (_jobs.c.id == limits.c.job) & _jobs.c.state.in_(RUNNABLE)
    following = (
        select(_shards.c.job, _shards.c.number)
        .where(_shards.c.job == limits.c.job, *waiting)
        .order_by(_shards.c.number)
        .limit(limits.c.most)
        .with_for_update(skip_locked=True, of=_shards)
        .lateral("following")
    )
    chosen = (
        select(following.c.job, following.c.number)
        .select_from(limits.join(_jobs, runs).join(following, true()))
        .cte("chosen")  # as a plain subquery PostgreSQL may run it once for each row
    )
    same = (_shards.c.job == chosen.c.job, _shards.c.number == chosen.c.number)
    return update(_shards).where(*same, *waiting).values(hinted_at=now()).returning(*_marked)


@cache
def _marking_one() -> ReturningUpdate[Any]:
    named = bindparam("of_job", type_=String)
    waiting = (_shards.c.job == named, *_waiting())
    runs = select(_jobs.c.id).where(_jobs.c.id == named, _jobs.c.state.in_(RUNNABLE))
    chosen = (
        select(_shards.c.number)
        .where(*waiting, runs.exists())
        .order_by(_shards.c.number)
        .limit(bindparam("at_most", type_=BigInteger))
    )
    marking = update(_shards).where(*waiting, _shards.c.number.in_(chosen))
    return marking.values(hinted_at=now()).returning(*_marked)


def _waiting() -> tuple[ColumnElement[bool], ...]:
    stale = _shards.c.hinted_at < now() - bindparam("stale")
    unheard = or_(_shards.c.hinted_at.is_(None), stale)
    due = or_(_shards.c.not_before.is_(None), _shards.c.not_before <= now())
    return _shards.c.state == ShardState.PENDING, unheard, due


def unhint(ledger: Ledger, older_than: float) -> int:
    """Forget the hints sent more than so many seconds ago: the broker lost them. How many."""
    lost = update(_shards).where(_shards.c.hinted_at < now() - older_than)
    with ledger.single() as connection:
        return connection.execute(lost.values(hinted_at=None)).rowcount


def recall(ledger: Ledger, of_jobs: Collection[str]) -> None:
    """Make what was sent of these jobs, and waits to be claimed, name attempts that are past."""
    waiting = update(_shards).where(_hinted, _shards.c.job.in_(of_jobs))
    with ledger.single() as connection:
        connection.execute(waiting.values(attempt=_shards.c.attempt + 1, hinted_at=None))


def queued(ledger: Ledger, numerics: str | None = None) -> int:
    """How many hinted shards wait for a worker (of this class of arithmetic) to claim them."""
    query = select(func.count()).select_from(_shards).where(_hinted)
    if numerics is not None:
        claimable = or_(_jobs.c.numerics.is_(None), _jobs.c.numerics == numerics)
        query = query.join(_jobs, _jobs.c.id == _shards.c.job).where(claimable)
    with ledger.read() as connection:
        return connection.execute(query).scalar_one()


def queued_by_job(ledger: Ledger) -> dict[str, int]:
    """How many hinted shards of each job wait to be claimed."""
    with ledger.read() as connection:
        # to group them there, SQLite would read every shard in the order of its job
        return Counter(connection.execute(_hinted_jobs).scalars())
