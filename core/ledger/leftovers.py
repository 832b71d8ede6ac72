"""Jobs in whose folders a worker may have left what nothing names.

Whoever loses a shard may be sending it just then. Each lease that ends without a result is counted
here, and so is what its holder finds out later: that it sent something for nothing.
"""

from sqlalchemy import Connection, literal_column, select, update

from core.ledger import schema
from core.ledger.engine import Ledger
from core.ledger.states import TERMINAL

_jobs = schema.jobs


def one_more() -> dict[str, object]:
    """What the end of a lease without a result writes into the job's row."""
    return {"leftovers": _jobs.c.leftovers + 1}


def mark(ledger: Ledger, job_id: str) -> None:
    """Something may have been sent for this job by a worker that had lost its shard."""
    with ledger.single() as connection:
        mark_within(connection, job_id)


def mark_within(connection: Connection, job_id: str) -> None:
    """`mark` as a part of a transaction."""
    connection.execute(update(_jobs).where(_jobs.c.id == job_id).values(one_more()))


def due(ledger: Ledger) -> dict[str, int]:
    """The jobs to look through, and how much was counted: they are over, every worker has left."""
    over = _jobs.c.state.in_(TERMINAL) & (_jobs.c.shards_leased == 0)
    some = _jobs.c.leftovers > literal_column("0")  # as the index has it, of few jobs
    query = select(_jobs.c.id, _jobs.c.leftovers).where(some, over)
    with ledger.read() as connection:
        return {row.id: row.leftovers for row in connection.execute(query)}


def clear(ledger: Ledger, job_id: str, count: int) -> None:
    """The job was looked through, for so many."""
    mine = update(_jobs).where(_jobs.c.id == job_id)
    with ledger.single() as connection:
        connection.execute(mine.values(leftovers=_jobs.c.leftovers - count))
