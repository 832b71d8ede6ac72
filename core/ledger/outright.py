"""The usual claim and commit, each as one statement: on PostgreSQL that is one round trip.

What is out of the usual finds no row here, and goes the long way of `leases`: a job's first claim
and last commit, limits, strikes, failures, samples given up. Locks are taken in the order of the
long way: the job's row is locked before its shard is looked at. Whoever waited for that lock may
see the shard as it was before; PostgreSQL compares the newest version of a row before it updates
it.
"""

from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import CTE, ColumnElement, Select, bindparam, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from core.ledger import schema
from core.ledger.bars import STRIKES
from core.ledger.claims import Claim, Result, attempt_named, naming
from core.ledger.clock import now
from core.ledger.engine import Ledger
from core.ledger.states import TERMINAL, JobState, ShardState
from core.messages import RenderHint

_jobs, _shards, _workers, _strikes = schema.jobs, schema.shards, schema.workers, schema.strikes


def taking(worker: Any, lease: Any) -> dict[str, Any]:
    """What a claim writes into a shard's row."""
    return {
        "state": ShardState.LEASED,
        "attempt": _shards.c.attempt + 1,
        "worker": worker,
        "lease_until": now() + lease,
        "hinted_at": None,
        "not_before": None,
        "progress": 0,
        "trying": None,
        "seconds": 0.0,
    }


def counting(samples: Any, size: Any, seconds: Any) -> dict[str, Any]:
    """What a commit writes into a job's row."""
    return {
        "shards_leased": _jobs.c.shards_leased - 1,
        "shards_done": _jobs.c.shards_done + 1,
        "samples_done": _jobs.c.samples_done + samples,
        "bytes_done": _jobs.c.bytes_done + size,
        "render_seconds": _jobs.c.render_seconds + seconds,
    }


def crediting(samples: Any, seconds: Any) -> dict[str, Any]:
    """What a commit writes into a worker's row."""
    return {
        "samples_done": _workers.c.samples_done + samples,
        "render_seconds": _workers.c.render_seconds + seconds,
    }


class _Held(NamedTuple):
    attempt: int
    samples: int
    model: str
    weights: str


def claim(
    ledger: Ledger, hint: RenderHint, worker: str, numerics: str, lease: float
) -> Claim | None:
    """Lease the hinted attempt, if nothing is out of the usual."""
    taker = {"by_worker": worker, "of_numerics": numerics, "for_seconds": lease}
    with ledger.single() as connection:
        row = connection.execute(_claiming(), {**naming(hint), **taker}).first()
    if row is None:
        return None
    held = _Held(*row)
    ours = (hint.job, hint.shard, held.attempt, held.samples, held.model, held.weights)
    return Claim(*ours)


def commit(ledger: Ledger, held: Claim, result: Result) -> bool:
    """Record a shard as done and move the counters, if nothing is out of the usual."""
    found = {f"the_{name}": getattr(result, name) for name in _RECORDED}
    with ledger.single() as connection:
        return connection.execute(_committing(), {**naming(held), **found}).first() is not None


def _locked(*where: ColumnElement[bool]) -> CTE:
    """The job's row, kept as it is until the statement's end."""
    named = select(_jobs.c.id, _jobs.c.model, _jobs.c.weights).where(
        _jobs.c.id == bindparam("in_job"), *where
    )
    return named.with_for_update(key_share=True).cte("locked")


@cache
def _claiming() -> ReturningUpdate[Any]:
    struck = select(_strikes.c.job).where(
        _strikes.c.job == bindparam("in_job"),
        _strikes.c.worker == bindparam("by_worker"),
        _strikes.c.failures >= STRIKES,
    )
    job = _locked(
        _jobs.c.state == JobState.RUNNING,
        _jobs.c.numerics == bindparam("of_numerics"),
        _jobs.c.deadline.is_(None),
        _jobs.c.gpu_seconds.is_(None),
        ~struck.exists(),
    )
    usual = (_shards.c.memory.is_(None), _shards.c.given_up == "{}", _shards.c.failures == 0)
    taken = (
        update(_shards)
        .where(*attempt_named(ShardState.PENDING, job.c.id), *usual)
        .values(taking(bindparam("by_worker"), bindparam("for_seconds")))
        .returning(
            _shards.c.job, _shards.c.attempt, _shards.c.samples,
            job.c.model, job.c.weights,
        )
        .cte("taken")
    )  # fmt: skip
    return (
        update(_jobs)
        .where(_jobs.c.id == taken.c.job)
        .values(shards_leased=_jobs.c.shards_leased + 1)
        .returning(*(taken.c[name] for name in _Held._fields))
    )


_RECORDED = (
    *("key", "sha256", "size", "part_key", "part_sha256"),
    *("samples", "samples_digest", "seconds"),
)


@cache
def _committing() -> Select[Any]:
    found = {name: bindparam(f"the_{name}", type_=_shards.c[name].type) for name in _RECORDED}
    samples, size, seconds = found["samples"], found["size"], found["seconds"]
    job = _locked(_jobs.c.state.not_in(TERMINAL), _jobs.c.shards_done + 1 < _jobs.c.shard_count)
    done = (
        update(_shards)
        .where(*attempt_named(ShardState.LEASED, job.c.id), _shards.c.given_up == "{}")
        .values(state=ShardState.DONE, lease_until=None, progress=0, **found)
        .returning(_shards.c.job, _shards.c.worker)
        .cte("done")
    )
    counted = update(_jobs).where(_jobs.c.id == done.c.job).values(counting(samples, size, seconds))
    credited = (
        update(_workers).where(_workers.c.id == done.c.worker).values(crediting(samples, seconds))
    )
    return select(done.c.worker).add_cte(
        counted.returning(_jobs.c.id).cte("counted"),
        credited.returning(_workers.c.id).cte("credited"),
    )
