"""Jobs, shards and workers to test the ledger with."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import select

from core.ledger import Ledger, jobs, schema, shards, workers
from core.ledger.jobs import Job, NewJob
from core.ledger.shards import Claim, Result
from core.ledger.workers import NewWorker, WorkerState
from core.messages import RenderHint

FACTS = {"device": "cpu", "dtype": "float32"}
WEIGHTS = "ab" * 32
T = TypeVar("T")


class Rows:
    """Puts rows into a ledger; what is not said is like in any other test."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def new(self, shard_count: int = 3, **values: Any) -> NewJob:
        """A job not added yet, of ten samples a shard, unlike any other unless told."""
        identity = jobs.new_id()
        fields: dict[str, Any] = {
            "id": identity,
            "owner": "ann",
            "name": "heroes",
            "request": "{}",
            "request_digest": identity.rjust(64, "0"),
            "model": "dungeon-32",
            "weights": WEIGHTS,
            "total_samples": 10 * shard_count,
            "shard_count": shard_count,
            "shard_samples": 10,
            "context_count": 1,
        }
        return NewJob(**{**fields, **values})

    def job(self, shard_count: int = 3, **values: Any) -> Job:
        """A planned job with the rows of all its shards."""
        job, created = jobs.add(self.ledger, self.new(shard_count, **values))
        assert created
        assert shards.plan_rows(self.ledger, job.id, 0, [10] * shard_count)
        return job

    def worker(self, worker: str = "w1", **values: Any) -> str:
        """A worker that is ready."""
        fields: dict[str, Any] = {
            "id": worker,
            "host": "mill",
            "pid": 4711,
            "started": 1.5,
            "device": "cpu",
            "numerics": "n1",
            "numerics_facts": FACTS,
            "slots": 2,
        }
        workers.register(self.ledger, NewWorker(**{**fields, **values}))
        workers.beat(self.ledger, worker, WorkerState.READY)
        return worker

    def claim(
        self,
        job: Job,
        shard: int = 0,
        *,
        attempt: int = 0,
        worker: str = "w1",
        numerics: str = "n1",
        lease: float = 60.0,
    ) -> Claim | None:
        hint = RenderHint(job.id, shard, attempt)
        return shards.claim(self.ledger, hint, worker, numerics, lease)

    def held(self, job: Job, shard: int = 0, **values: Any) -> Claim:
        """A claim that must succeed."""
        claim = self.claim(job, shard, **values)
        assert claim
        return claim

    def commit(self, claim: Claim) -> bool:
        return shards.commit(self.ledger, claim, result(claim))

    def shard(self, job: Job, number: int = 0) -> dict[str, Any]:
        table = schema.shards
        query = select(table).where(table.c.job == job.id, table.c.number == number)
        with self.ledger.read() as connection:
            return dict(connection.execute(query).mappings().one())

    def states(self, job: Job) -> list[str]:
        table = schema.shards
        query = select(table.c.state).where(table.c.job == job.id).order_by(table.c.number)
        with self.ledger.read() as connection:
            return [str(state) for state in connection.execute(query).scalars()]

    def again(self, job: Job) -> Job:
        """The job as it now is."""
        return jobs.get(self.ledger, job.id)


def result(claim: Claim) -> Result:
    return Result(
        key=f"datasets/{claim.job}/shards/{claim.shard:06d}.tar",
        sha256=f"{claim.shard:064x}",
        size=1000,
        part_key=f"work/{claim.job}/{claim.shard:06d}.parquet",
        part_sha256="b" * 64,
        samples=claim.samples,
        samples_digest="c" * 64,
        seconds=0.5,
    )


def at_once(count: int, action: Callable[[int], T]) -> list[T]:
    """What each of several threads got that began at the same moment."""
    barrier = threading.Barrier(count)
    found: list[T | BaseException] = [RuntimeError("it did not end")] * count

    def act(number: int) -> None:
        barrier.wait(timeout=30)
        try:
            found[number] = action(number)
        except BaseException as error:  # noqa: BLE001  # raised again below
            found[number] = error

    threads = [threading.Thread(target=act, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return [_got(each) for each in found]


def _got(found: T | BaseException) -> T:
    if isinstance(found, BaseException):
        raise found
    return found
