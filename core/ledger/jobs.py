"""The rows of jobs: adding, finding and moving them."""

import base64
import builtins
import json
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from core.errors import ConflictError, NotFoundError, UsageError
from core.ledger import events, schema
from core.ledger.clock import now
from core.ledger.engine import Ledger
from core.ledger.states import RUNNABLE, TERMINAL, JobState, ShardState, origins

_jobs = schema.jobs
_ID_LENGTH = 12
_ADD_TRIES = 5
_SHOWN = 5
_LIST = "`spritemill list` shows them all."


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to add; `request` is its canonical JSON."""

    id: str
    owner: str
    name: str
    request: str
    request_digest: str
    model: str
    weights: str
    total_samples: int
    shard_count: int
    shard_samples: int
    context_count: int
    priority: int = 0
    workers: int | None = None
    deadline: float | None = None
    gpu_seconds: float | None = None
    at_end: str = "stop"


@dataclass(frozen=True, slots=True)
class Job:
    """All of a job's row but the text of its request. Times are seconds since 1970.

    `refused` counts the drawings that quality control refused, by rule; `samples_unfilled` the
    samples of which it refused every one; `failures` those of its shards, by kind. `numerics` is
    the class of arithmetic that the job is bound to, from its first claim on; `workers` is how many
    may work at it at once, None for all. `gpu_seconds` is its budget; once that or the deadline is
    passed, `at_end` tells whether workers drain or stop.
    """

    id: str
    owner: str
    name: str
    state: JobState
    priority: int
    workers: int | None
    model: str
    weights: str
    request_digest: str
    numerics: str | None
    total_samples: int
    shard_count: int
    shard_samples: int
    context_count: int
    shards_planned: int
    shards_leased: int
    shards_done: int
    samples_done: int
    bytes_done: int
    render_seconds: float
    refused: Mapping[str, int]
    samples_unfilled: int
    failures: Mapping[str, int]
    created_at: float
    started_at: float | None
    finished_at: float | None
    error: str | None
    dataset_digest: str | None
    deadline: float | None
    gpu_seconds: float | None
    at_end: str

    @property
    def samples_drawn(self) -> int:
        """Those that are done, and those that cannot be filled."""
        return self.samples_done + self.samples_unfilled


class OpenJob(NamedTuple):
    """Of a job whose shards may be claimed, what sharing out the fleet needs to know. `failures`
    are JSON, which is seldom needed.
    """

    id: str
    owner: str
    priority: int
    workers: int | None
    numerics: str | None
    total_samples: int
    shard_count: int
    shard_samples: int
    shards_planned: int
    shards_leased: int
    shards_done: int
    samples_done: int
    samples_unfilled: int
    render_seconds: float
    failures: str

    @property
    def samples_drawn(self) -> int:
        """As `Job.samples_drawn`."""
        return self.samples_done + self.samples_unfilled


_columns = [_jobs.c[field.name] for field in fields(Job)]
_runnable = (
    select(*(_jobs.c[name] for name in OpenJob._fields))
    .where(_jobs.c.state.in_(RUNNABLE))
    .order_by(_jobs.c.priority.desc(), _jobs.c.created_at, _jobs.c.id)
)


def new_id() -> str:
    """Twelve random characters of a-z and 2-7."""
    return base64.b32encode(secrets.token_bytes(8)).decode().lower()[:_ID_LENGTH]


def add(ledger: Ledger, new: NewJob, *, again: bool = False) -> tuple[Job, bool]:
    """Add a job; or answer with the one that this owner's same request already has, and False.

    Jobs that failed or were cancelled do not answer; with `again`, none does.
    """
    for _ in range(_ADD_TRIES):
        try:
            return _insert(ledger, new, again=again), True
        except IntegrityError:  # that request has a job, or another was first to add it
            if not again and (job := _answering(ledger, new)):
                return job, False
    raise ConflictError(
        f"request {new.name}: others keep adding and ending it.", remedy="Submit it again."
    )


def get(ledger: Ledger, job_id: str) -> Job:
    """Raises NotFoundError."""
    with ledger.read() as connection:
        row = connection.execute(_select().where(_jobs.c.id == job_id)).mappings().first()
    return _job(row) if row else no_job(job_id)


def request_text(ledger: Ledger, job_id: str) -> str:
    """The request as it was submitted, canonical JSON. Raises NotFoundError."""
    with ledger.read() as connection:
        text = connection.execute(select(_jobs.c.request).where(_jobs.c.id == job_id)).scalar()
    return text if isinstance(text, str) else no_job(job_id)


def resolve(ledger: Ledger, name: str, owner: str | None = None) -> Job:
    """The job with this id, with the only id that begins so, or the `latest` (of an owner).

    Raises NotFoundError, and UsageError when several ids begin so.
    """
    query = _select().order_by(_jobs.c.created_at.desc(), _jobs.c.id).limit(_SHOWN + 1)
    if owner is not None:
        query = query.where(_jobs.c.owner == owner)
    if name != "latest":
        if not re.fullmatch(f"[a-z0-9]{{1,{_ID_LENGTH}}}", name):
            no_job(name)
        whole = len(name) == _ID_LENGTH  # and found by the index, whatever the collation
        query = query.where(_jobs.c.id == name if whole else _jobs.c.id.startswith(name))
    with ledger.read() as connection:
        found = [_job(row) for row in connection.execute(query).mappings()]
    if not found:
        no_job(name)
    if len(found) > 1 and name != "latest":
        ids = ", ".join(job.id for job in found[:_SHOWN])
        more = ", and others" if len(found) > _SHOWN else ""
        raise UsageError(f"job {name}: ambiguous: {ids}{more}.", remedy="Give more of the id.")
    return found[0]


def of_dataset(ledger: Ledger, digest: str) -> Job:
    """The newest job that made a dataset of this digest. Raises NotFoundError."""
    query = _select().where(_jobs.c.dataset_digest == digest).order_by(_jobs.c.created_at.desc())
    with ledger.read() as connection:
        row = connection.execute(query.limit(1)).mappings().first()
    return _job(row) if row else no_job(digest)


def extending(ledger: Ledger, digest: str) -> Job | None:
    """A job that is not over and whose request names the dataset of this digest."""
    live = _jobs.c.state.in_([state for state in JobState if state not in TERMINAL])
    query = _select().where(live, _jobs.c.request.contains(digest)).limit(1)
    with ledger.read() as connection:
        row = connection.execute(query).mappings().first()
    return _job(row) if row else None


def list(  # noqa: A001  # read as jobs.list
    ledger: Ledger,
    *,
    owner: str | None = None,
    states: Collection[str] | None = None,
    limit: int = 50,
) -> builtins.list[Job]:
    """Jobs, newest first."""
    query = _select().order_by(_jobs.c.created_at.desc(), _jobs.c.id).limit(limit)
    if owner is not None:
        query = query.where(_jobs.c.owner == owner)
    if states is not None:
        query = query.where(_jobs.c.state.in_(states))
    with ledger.read() as connection:
        return [_job(row) for row in connection.execute(query).mappings()]


def finalizing(ledger: Ledger) -> builtins.list[str]:
    """The ids of all jobs whose dataset is to be finished, the oldest first."""
    query = select(_jobs.c.id).where(_jobs.c.state == JobState.FINALIZING)
    with ledger.read() as connection:
        ordered = query.order_by(_jobs.c.created_at, _jobs.c.id)
        return [*connection.execute(ordered).scalars()]


def any_planned(ledger: Ledger) -> bool:
    """Whether there is a job that nobody has claimed from yet."""
    query = select(_jobs.c.id).where(_jobs.c.state == JobState.PLANNED).limit(1)
    with ledger.read() as connection:
        return connection.execute(query).first() is not None


def runnable(ledger: Ledger) -> builtins.list[OpenJob]:
    """Jobs whose shards may be claimed, the most urgent first, then the oldest."""
    with ledger.read() as connection:
        return [OpenJob._make(row) for row in connection.execute(_runnable).all()]


def move(
    ledger: Ledger,
    job_id: str,
    to: JobState,
    *,
    error: str | None = None,
    dataset_digest: str | None = None,
) -> bool:
    """Move a job, if the table of moves allows it from where the job is.

    Raises NotFoundError when there is no such job.
    """
    with ledger.write() as connection:
        if move_within(connection, job_id, to, error=error, dataset_digest=dataset_digest):
            return True
        if connection.execute(select(_jobs.c.id).where(_jobs.c.id == job_id)).first() is None:
            no_job(job_id)
        return False


def move_within(connection: Connection, job_id: str, to: JobState, **facts: str | None) -> bool:
    """`move` as a part of a transaction."""
    values: dict[str, Any] = {"state": to, **_told(facts)}
    if to in TERMINAL:
        values["finished_at"] = now()
    if to in RUNNABLE or to is JobState.FINALIZING:
        values["error"] = None  # why it was paused
    ends_badly = to in (JobState.FAILED, JobState.CANCELLED)
    if ends_badly:
        values["dedupe"] = None
    allowed = [_jobs.c.id == job_id, _jobs.c.state.in_(origins(to))]
    if to is JobState.PLANNED:
        allowed.append(_jobs.c.started_at.is_(None))
    if not connection.execute(update(_jobs).where(*allowed).values(values)).rowcount:
        return False
    if ends_badly:
        _cancel_pending(connection, job_id)
    events.add(connection, job_id, f"job.{to}", **_told(facts))
    return True


def read(connection: Connection, job_id: str, *where: ColumnElement[bool]) -> Job | None:
    """The job as a part of a transaction, where this is so."""
    row = connection.execute(_select().where(_jobs.c.id == job_id, *where)).mappings().first()
    return _job(row) if row else None


def lock(connection: Connection, job_id: str) -> Job | None:
    """The job as it now is, kept so until the transaction ends."""
    query = _select().where(_jobs.c.id == job_id).with_for_update(key_share=True)
    row = connection.execute(query).mappings().first()
    return _job(row) if row else None


def condemn(ledger: Ledger, job_id: str) -> None:
    """Settle that a job goes: its dataset, of which it has none from here on, may be removed, for
    nothing opens it anew, extends it or is answered with it. Raises as `remove` does.
    """
    gone = {"dataset_digest": None, "dedupe": None}
    with ledger.write() as connection:
        _refuse_kept(connection, job_id)
        connection.execute(update(_jobs).where(_jobs.c.id == job_id).values(gone))


def remove(ledger: Ledger, job_id: str) -> None:
    """Delete a job that is over, with its shards and events.

    Raises NotFoundError, and ConflictError while it is not over or a worker still renders for it.
    """
    with ledger.write() as connection:
        _refuse_kept(connection, job_id)
        connection.execute(delete(_jobs).where(_jobs.c.id == job_id))


def _refuse_kept(connection: Connection, job_id: str) -> None:
    job = lock(connection, job_id) or no_job(job_id)
    if job.state not in TERMINAL:
        raise ConflictError(f"job {job_id}: it is {job.state}.", remedy="Cancel it first.")
    if job.shards_leased:
        raise ConflictError(
            f"job {job_id}: workers have yet to leave {job.shards_leased} of its shards.",
            remedy="Try again in a minute.",
        )


def _select() -> Select[Any]:
    return select(*_columns)


def _job(row: RowMapping) -> Job:
    counts = {name: json.loads(row[name]) for name in ("refused", "failures")}
    return Job(**{**row, **counts, "state": JobState(row["state"])})


def _told(facts: Mapping[str, str | None]) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if fact}


def no_job(name: str) -> Any:
    raise NotFoundError(f"job {name}: there is none.", remedy=_LIST)


def _insert(ledger: Ledger, new: NewJob, *, again: bool) -> Job:
    same = (_jobs.c.owner == new.owner, _jobs.c.dedupe == new.request_digest)
    values = {**asdict(new), "state": JobState.PLANNED, "created_at": now()}
    inserting = insert(_jobs).values(dedupe=new.request_digest, **values).returning(*_columns)
    with ledger.write() as connection:
        if again:
            connection.execute(update(_jobs).where(*same).values(dedupe=None))
        row = connection.execute(inserting).mappings().one()
        events.add(connection, new.id, "job.planned", owner=new.owner, name=new.name)
    return _job(row)


def _answering(ledger: Ledger, new: NewJob) -> Job | None:
    same = (_jobs.c.owner == new.owner, _jobs.c.dedupe == new.request_digest)
    with ledger.read() as connection:
        row = connection.execute(_select().where(*same)).mappings().first()
    return _job(row) if row else None


def _cancel_pending(connection: Connection, job_id: str) -> None:
    shards = schema.shards
    pending = (shards.c.job == job_id, shards.c.state == ShardState.PENDING)
    connection.execute(
        update(shards).where(*pending).values(state=ShardState.CANCELLED, hinted_at=None)
    )
