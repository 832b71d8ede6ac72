"""What work waits for outside of the ledger, told by those who wait."""

import json

from sqlalchemy import and_, select

from core.ledger import events, jobs, schema
from core.ledger.claims import Claim
from core.ledger.engine import Ledger
from core.ledger.jobs import Job
from core.ledger.states import JobState, ShardState

_SHARD, _JOB = "shard.delayed", "job.delayed"
_NEWEST = 20


def tell(ledger: Ledger, job: str, why: str, held: Claim | None = None) -> None:
    """Record why a shard is not finished though it is rendered, or why a job is not; the latter
    once until something else happens to it.
    """
    with ledger.write() as connection:
        if jobs.lock(connection, job) is None:
            return
        if held:
            events.add(connection, job, _SHARD, held.shard, attempt=held.attempt, error=why)
            return
        told = schema.events
        newest = select(told.c.kind).where(told.c.job == job).order_by(told.c.id.desc()).limit(1)
        if connection.execute(newest).scalar() != _JOB:
            events.add(connection, job, _JOB, error=why)


def reason(ledger: Ledger, job: Job) -> str:
    """Why work at a job waits right now, as the newest events tell; empty when none does."""
    told, held = schema.events, schema.shards
    where = and_(held.c.job == told.c.job, held.c.number == told.c.shard)
    query = (
        select(told.c.kind, told.c.fields, held.c.state, held.c.attempt)
        .outerjoin_from(told, held, where)
        .where(told.c.job == job.id)
        .order_by(told.c.id.desc())
        .limit(_NEWEST)
    )
    with ledger.read() as connection:
        rows = connection.execute(query).all()
    for kind, text, state, attempt in rows:
        fields = json.loads(text)
        waiting = (state, attempt) == (ShardState.LEASED, fields.get("attempt"))
        if (kind == _SHARD and waiting) or (kind == _JOB and job.state == JobState.FINALIZING):
            return str(fields["error"])
    return ""
