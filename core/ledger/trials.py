"""A shard that keeps failing is tried sample by sample: which one is tried, which are given up."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from core.errors import ConflictError
from core.ledger import events, jobs, refusals, schema
from core.ledger.claims import Claim, attempt_in
from core.ledger.engine import Ledger
from core.ledger.states import TERMINAL, JobState, ShardState
from core.messages import RenderHint

_jobs, _shards = schema.jobs, schema.shards
FAILURES = 3
"""After so many failures a shard is rendered sample by sample, and as many later it is not."""


def trying(ledger: Ledger, held: Claim, key: str | None) -> None:
    """Say which sample is rendered next: it is the one to blame if its worker dies. None: none."""
    saying = update(_shards).where(*attempt_in(held, ShardState.LEASED)).values(trying=key)
    with ledger.write() as connection:
        connection.execute(saying)


def give_up(ledger: Ledger, held: Claim, key: str, reason: str) -> None:
    """Leave a sample out of its shard, by its key; nothing, when the lease was lost before."""
    with ledger.write() as connection:
        if jobs.lock(connection, held.job):
            leave_out(connection, held, key, reason)


def leave_out(connection: Connection, held: Claim | RenderHint, key: str, reason: str) -> None:
    """`give_up` as a part of a transaction that has locked the job."""
    fence = attempt_in(held, ShardState.LEASED)
    row = connection.execute(select(_shards.c.given_up, _shards.c.worker).where(*fence)).first()
    if row is None:
        return
    text = json.dumps({**json.loads(row.given_up), key: reason}, sort_keys=True)
    connection.execute(update(_shards).where(*fence).values(given_up=text, trying=None))
    told = {"sample": key, "error": reason}
    events.add(connection, held.job, "sample.quarantined", held.shard, row.worker, **told)


def retry(ledger: Ledger, job_id: str) -> int:
    """Open a succeeded job anew for the shards that gave samples up, without deadline and budget;
    or let every worker try the shards of a job under way that ran out of memory. How many shards.

    The dataset's manifest must be gone by then. Raises ConflictError when there is nothing.
    """
    with ledger.write() as connection:
        job = jobs.lock(connection, job_id)
        if job is None or job.state in TERMINAL:
            count = _reopen(connection, job_id, job)
        else:
            small = (_shards.c.job == job_id, _shards.c.state == ShardState.PENDING)
            lifting = update(_shards).where(*small, _shards.c.memory.is_not(None))
            count = connection.execute(lifting.values(memory=None, not_before=None)).rowcount
        if not count:
            raise _nothing(job_id)
        events.add(connection, job_id, "job.retried", shards=count)
    return count


def lost(ledger: Ledger, job_id: str) -> Mapping[str, str]:
    """Why each sample that a job gave up could not be rendered, by its key."""
    with ledger.read() as connection:
        rows = connection.execute(select(_shards.c.given_up).where(*_incomplete(job_id))).scalars()
        return {key: reason for text in rows for key, reason in json.loads(text).items()}


def _reopen(connection: Connection, job_id: str, job: jobs.Job | None) -> int:
    if job is None or job.state is not JobState.SUCCEEDED or job.dataset_digest is None:
        return 0
    query = select(_shards.c.samples, _shards.c.size, _shards.c.refusals).where(
        *_incomplete(job_id)
    )
    found = connection.execute(query).all()
    anew: dict[str, Any] = {"state": ShardState.PENDING, "given_up": "{}", "failures": FAILURES}
    connection.execute(update(_shards).where(*_incomplete(job_id)).values(anew))
    again: dict[str, Any] = {
        "state": JobState.RUNNING,
        "shards_done": _jobs.c.shards_done - len(found),
        "samples_done": _jobs.c.samples_done - sum(row.samples for row in found),
        "bytes_done": _jobs.c.bytes_done - sum(row.size for row in found),
        **refusals.without(job.refused, job.samples_unfilled, (row.refusals for row in found)),
        "deadline": None,  # whichever has passed would pause it, its dataset gone
        "gpu_seconds": None,
        "finished_at": None,
        "dataset_digest": None,
        "error": None,
    }
    connection.execute(update(_jobs).where(_jobs.c.id == job_id).values(again))
    return len(found)


def _incomplete(job_id: str) -> tuple[Any, ...]:
    done = _shards.c.state == ShardState.DONE
    return (_shards.c.job == job_id, done, _shards.c.given_up != "{}")


def _nothing(job_id: str) -> ConflictError:
    return ConflictError(
        f"job {job_id}: no sample of it is quarantined, and no shard waits for memory.",
        remedy=f"`spritemill events {job_id}` tells what happened to it.",
    )
