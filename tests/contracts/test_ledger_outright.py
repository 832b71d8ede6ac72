"""The short way of a usual claim and commit on PostgreSQL, beside the long way of all others."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from core.ledger import Ledger, connect, shards, workers
from core.ledger.jobs import Job
from core.messages import RenderHint
from tests.contracts.ledger_rows import Rows, at_once, result

pytestmark = pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
TIMES = {"lease_until", "started_at", "created_at"}
NAMES = {"id", "job", "key", "part_key", "request_digest", "dedupe"}


@pytest.fixture
def long_way(ledger_url: str) -> Iterator[Rows]:
    """The same ledger, as if its database knew no short way."""
    opened = connect(ledger_url)
    opened.postgresql = False
    yield Rows(opened)
    opened.close()


def running(rows: Rows, count: int) -> Job:
    """A job whose first shard is done."""
    job = rows.job(count)
    assert rows.commit(rows.held(job))
    return job


def told(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in TIMES | NAMES}


def facts(rows: Rows, job: Job) -> list[Any]:
    there = rows.again(job)
    columns = {name: getattr(there, name) for name in there.__dataclass_fields__}
    return [told(columns), told(rows.shard(job, 1)), rows.shard(job, 1)["lease_until"] is None]


def credit(rows: Rows) -> tuple[int, float]:
    one = next(worker for worker in workers.list(rows.ledger) if worker.id == "w1")
    return one.samples_done, one.render_seconds


def test_both_ways_write_the_same(rows: Rows, long_way: Rows) -> None:
    found = []
    for way in (rows, long_way):
        way.worker("w1")
        job = running(way, 3)
        before = credit(way)
        held = way.held(job, 1)
        claimed = facts(way, job)
        assert way.commit(held)
        after = credit(way)
        grown = (after[0] - before[0], after[1] - before[1])
        found.append((claimed, facts(way, job), grown))
    assert found[0] == found[1]


def test_usual_shard_takes_a_statement_to_claim_and_one_to_commit(rows: Rows) -> None:
    rows.worker("w1")
    job = running(rows, 3)
    asked: list[str] = []
    event.listen(rows.ledger.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    held = rows.held(job, 1)
    assert len(asked) == 1
    assert rows.commit(held)
    assert len(asked) == 2


def test_many_at_once_take_each_shard_of_a_running_job_once(rows: Rows, ledger_url: str) -> None:
    rows.worker("w1")
    job = running(rows, 13)

    def take(_: int) -> list[int]:
        own = connect(ledger_url)
        held = [shards.claim(own, RenderHint(job.id, n, 0), "w1", "n1", 60.0) for n in range(1, 12)]
        kept = [claim for claim in held if claim and shards.commit(own, claim, result(claim))]
        own.close()
        return [claim.shard for claim in kept]

    taken = sorted(number for numbers in at_once(4, take) for number in numbers)
    assert taken == list(range(1, 12))
    there = rows.again(job)
    assert (there.shards_done, there.shards_leased, there.samples_done) == (12, 0, 120)
    assert there.state == "running"


def test_fenced_commit_moves_no_counter(rows: Rows, ledger: Ledger) -> None:
    rows.worker("w1")
    job = running(rows, 3)
    lost = rows.held(job, 1)
    shards.release(ledger, lost)
    rows.held(job, 1, attempt=1)
    assert not rows.commit(lost)
    there = rows.again(job)
    assert (there.shards_done, there.shards_leased) == (1, 1)
