"""Jobs in whose folders a worker may have left what nothing names.

Whoever loses a shard may be sending it just then. Each lease that ends without a result is counted
here, and so is what its holder finds out later: that it sent something for nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select, update

from core.ledger import jobs, schema
from core.ledger.engine import Ledger
from core.ledger.jobs import Job
from core.ledger.states import TERMINAL

_jobs = schema.jobs
_Values = dict[str, object]


def one_more() -> _Values:
    """What the end of a lease without a result writes into the job's row."""
    return {"leftovers": _jobs.c.leftovers + 1}


def mark(ledger: Ledger, job_id: str) -> None:
    """Something may have been sent for this job by a worker that had lost its shard."""
    with ledger.single() as connection:
        connection.execute(update(_jobs).where(_jobs.c.id == job_id).values(one_more()))


def due(ledger: Ledger) -> dict[str, int]:
    """The jobs to look through, and how much was counted: they are over, every worker has left."""
    over = _jobs.c.state.in_(TERMINAL) & (_jobs.c.shards_leased == 0)
    query = select(_jobs.c.id, _jobs.c.leftovers).where(_jobs.c.leftovers > 0, over)
    with ledger.read() as connection:
        return {row.id: row.leftovers for row in connection.execute(query)}


@contextmanager
def removing(ledger: Ledger, job: Job, count: int) -> Iterator[bool]:
    """Whether the job is as it was read: then it stays so until the block ends, opened by nobody,
    and so many of what was counted are gone after that.
    """
    with ledger.write() as connection:
        same = jobs.lock(connection, job.id) == job
        yield same
        if same:
            mine = update(_jobs).where(_jobs.c.id == job.id)
            connection.execute(mine.values(leftovers=_jobs.c.leftovers - count))
