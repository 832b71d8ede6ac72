"""Who may not claim: a worker that keeps failing at a job, or has too little memory for a shard."""

from importlib import import_module

from sqlalchemy import Connection, and_, func, select

from core.ledger import schema
from core.ledger.engine import Ledger
from core.ledger.states import ShardState
from core.messages import RenderHint

_jobs, _shards, _workers, _strikes = schema.jobs, schema.shards, schema.workers, schema.strikes
STRIKES = 3
"""Whoever failed so many of a job's shards is kept off it while another worker can take them."""


def strike(connection: Connection, job: str, worker: str) -> None:
    """Count a failure of a job's shard against a worker."""
    # only the dialect that is spoken: both would make every command start later
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    adding = dialect.insert(_strikes).values(job=job, worker=worker, failures=1)
    connection.execute(
        adding.on_conflict_do_update(
            index_elements=["job", "worker"], set_={"failures": _strikes.c.failures + 1}
        )
    )


def barred(connection: Connection, hint: RenderHint, worker: str, numerics: str) -> bool:
    """Whether this worker must leave the hinted shard to others."""
    struck = and_(_strikes.c.job == hint.job, _strikes.c.worker == worker)
    row = connection.execute(
        select(_shards.c.memory, func.coalesce(_workers.c.memory, 0), _strikes.c.failures)
        .select_from(
            _shards.outerjoin(_workers, _workers.c.id == worker).outerjoin(_strikes, struck)
        )
        .where(_shards.c.job == hint.job, _shards.c.number == hint.shard)
    ).first()
    if row is None:
        return False
    too_little, has, strikes = row
    if too_little is not None and has <= too_little:
        return True
    struck_out = (strikes or 0) >= STRIKES
    return struck_out and _others(connection, hint.job, worker, numerics, too_little)


def too_little(ledger: Ledger, job: str) -> int | None:
    """Bytes of memory that were not enough for a shard of the job that waits; None if none does."""
    query = select(func.max(_shards.c.memory)).where(
        _shards.c.job == job, _shards.c.state == ShardState.PENDING
    )
    with ledger.read() as connection:
        found = connection.execute(query).scalar()
    return None if found is None else int(found)


def _others(
    connection: Connection, job: str, worker: str, numerics: str, too_little: int | None
) -> bool:
    """Whether a worker of this class of arithmetic is ready that may take the job's shard, for
    which `too_little` bytes of memory were not enough.
    """
    struck = and_(_strikes.c.job == job, _strikes.c.worker == _workers.c.id)
    query = (
        select(_workers.c.id)
        .select_from(_workers.outerjoin(_strikes, struck))
        .where(
            _workers.c.id != worker,
            _workers.c.numerics == numerics,
            _workers.c.state == "ready",
            _workers.c.order == "run",
            func.coalesce(_strikes.c.failures, 0) < STRIKES,
            func.coalesce(_workers.c.memory, 0) > (-1 if too_little is None else too_little),
        )
    )
    return connection.execute(query.limit(1)).first() is not None
