"""A job's priority, which orders its owner's jobs."""

from sqlalchemy import update

from core.ledger import events, hints, jobs, returns, schema
from core.ledger.engine import Ledger
from core.ledger.jobs import Job, OpenJob
from core.ledger.states import TERMINAL

_jobs = schema.jobs


def change(ledger: Ledger, job_id: str, priority: int) -> bool:
    """Change a job's priority; False when the job is over. Raises NotFoundError.

    It holds from the next tile on: what workers render of the owner's jobs that now go later is
    taken back, as many shards as those that overtake them have to begin.
    """
    with ledger.write() as connection:
        job = jobs.lock(connection, job_id) or jobs.no_job(job_id)
        if job.state in TERMINAL:
            return False
        if job.priority == priority:
            return True
        setting = update(_jobs).where(_jobs.c.id == job_id).values(priority=priority)
        connection.execute(setting)
        events.add(connection, job_id, "job.prioritised", priority=priority, was=job.priority)
    _give_way(ledger, job, priority)
    return True


def _give_way(ledger: Ledger, was: Job, priority: int) -> None:
    """Hints of the overtaken that wait in the broker are recalled: they would go first."""
    open_jobs = jobs.runnable(ledger)
    changed = [job for job in open_jobs if job.id == was.id]
    rivals = [job for job in open_jobs if job.id != was.id and _compete(job, was)]
    if priority > was.priority:
        first = changed
        later = [job for job in rivals if was.priority <= job.priority < priority]
    else:
        first = [job for job in rivals if priority < job.priority <= was.priority]
        later = changed
    if wanted := sum(map(_to_begin, first)):
        returns.take_back(ledger, [job.id for job in later], wanted)
        hints.recall(ledger, [job.id for job in later])


def _compete(one: OpenJob, other: Job) -> bool:
    """Whether they are of one owner, and the same workers may render both."""
    bound = {one.numerics, other.numerics} - {None}
    return one.owner == other.owner and len(bound) < 2


def _to_begin(job: OpenJob) -> int:
    left = job.shard_count - job.shards_done
    return max(0, min(left, job.workers or left) - job.shards_leased)
