"""A job's deadline and budget: whoever finds one passed pauses the job, and says which."""

from datetime import UTC, datetime

from sqlalchemy import Connection, func, select, update

from core.ledger import events, jobs, schema
from core.ledger.clock import now
from core.ledger.engine import Ledger
from core.ledger.jobs import Job
from core.ledger.states import RUNNABLE, JobState, ShardState

_jobs, _shards = schema.jobs, schema.shards
_DEADLINE, _BUDGET = "deadline: ", "budget: "
DRAIN, STOP = "drain", "stop"


def limited(job: Job) -> bool:
    return job.deadline is not None or job.gpu_seconds is not None


def pause_if_over(connection: Connection, job: Job) -> bool:
    """Pause a job, its row locked, if it runs beyond a limit."""
    if job.state not in RUNNABLE or not limited(job):
        return False
    moment = connection.execute(select(now())).scalar_one()
    reason = passed(job, moment, job.render_seconds + _under_way(connection, job.id))
    return bool(reason) and jobs.move_within(connection, job.id, JobState.PAUSED, error=reason)


def passed(job: Job, moment: float, spent: float) -> str:
    """Which limit was passed by a moment, so many GPU-seconds being spent; or nothing."""
    if job.deadline is not None and moment >= job.deadline:
        told = datetime.fromtimestamp(job.deadline, UTC).isoformat(timespec="seconds")
        return f"{_DEADLINE}{told} has passed"
    if job.gpu_seconds is not None and spent >= job.gpu_seconds:
        return f"{_BUDGET}{spent:,.1f} of {job.gpu_seconds:,.1f} GPU-seconds are spent"
    return ""


def enforce(ledger: Ledger, job_id: str) -> Job | None:
    """The job as it then is: paused, if it ran beyond a limit."""
    with ledger.write() as connection:
        job = jobs.lock(connection, job_id)
        if job is not None and pause_if_over(connection, job):
            return jobs.read(connection, job_id)
        return job


def overdue(ledger: Ledger) -> list[str]:
    """The jobs whose shards may be claimed although their deadline has passed."""
    query = select(_jobs.c.id).where(_jobs.c.state.in_(RUNNABLE), _jobs.c.deadline <= now())
    with ledger.read() as connection:
        return list(connection.execute(query).scalars())


def drains(job: Job) -> bool:
    """Whether workers finish their shards of this paused job."""
    return job.at_end == DRAIN and bool(_paused_for(job))


def stop(ledger: Ledger, job: str) -> None:
    """Let workers leave their shards of a paused job that drains."""
    draining = (
        _jobs.c.id == job,
        _jobs.c.state == JobState.PAUSED,
        _jobs.c.at_end == DRAIN,
    )
    with ledger.write() as connection:
        if connection.execute(update(_jobs).where(*draining).values(at_end=STOP)).rowcount:
            events.add(connection, job, "job.undrained")


def lift(ledger: Ledger, job: Job) -> None:
    """Take away the limit for which a job is paused, so that it may go on."""
    with ledger.write() as connection:
        paused = jobs.lock(connection, job.id)
        if paused is None or paused.state is not JobState.PAUSED:
            return
        limit = _paused_for(paused)
        was = getattr(paused, limit) if limit else None
        if was is not None:
            lifting = update(_jobs).where(_jobs.c.id == job.id)
            connection.execute(lifting.values({limit: None}))
            events.add(connection, job.id, "job.unlimited", limit=limit, was=was)


def _paused_for(job: Job) -> str:
    """The limit's name among a job's fields; or nothing."""
    error = job.error or ""
    if error.startswith(_DEADLINE):
        return "deadline"
    return "gpu_seconds" if error.startswith(_BUDGET) else ""


def _under_way(connection: Connection, job: str) -> float:
    """The seconds that leased shards of a job took so far, as their workers told."""
    query = select(func.coalesce(func.sum(_shards.c.seconds), 0.0))
    leased = (_shards.c.job == job, _shards.c.state == ShardState.LEASED)
    return float(connection.execute(query.where(*leased)).scalar_one())
