"""What happened to a job, in order: its moves, and what went wrong with its shards."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from core.ledger import schema
from core.ledger.clock import now
from core.ledger.engine import Ledger


@dataclass(frozen=True, slots=True)
class Event:
    """`fields` holds what else belongs to this kind of event."""

    id: int
    at: float
    job: str
    kind: str
    shard: int | None
    worker: str | None
    fields: Mapping[str, Any]


def add(
    connection: Connection,
    job: str,
    kind: str,
    shard: int | None = None,
    worker: str | None = None,
    **fields: Any,
) -> None:
    """Record an event beside what caused it, in a transaction that has locked the job's row."""
    values = {"job": job, "kind": kind, "shard": shard, "worker": worker}
    connection.execute(insert(schema.events).values(at=now(), fields=json.dumps(fields), **values))


def quiet_for(ledger: Ledger) -> float | None:
    """Seconds since anything happened to any job; None where nothing ever did."""
    table = schema.events
    query = select(now() - table.c.at).order_by(table.c.id.desc()).limit(1)
    with ledger.read() as connection:
        return connection.execute(query).scalar()


def latest(ledger: Ledger, job_id: str, kind: str) -> float | None:
    """When an event of this kind happened last to a job, if ever."""
    table = schema.events
    query = select(table.c.at).where(table.c.job == job_id, table.c.kind == kind)
    with ledger.read() as connection:
        found = connection.execute(query.order_by(table.c.id.desc()).limit(1)).scalar()
    return None if found is None else float(found)


def of(ledger: Ledger, job_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
    """Events of a job whose id is above `after`, in order."""
    table = schema.events
    query = (
        select(table)
        .where(table.c.job == job_id, table.c.id > after)
        .order_by(table.c.id)
        .limit(limit)
    )
    with ledger.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [Event(**{**row, "fields": json.loads(row["fields"])}) for row in rows]
