"""Processes that share a SQLite ledger wait for each other: nobody is told that it is locked."""

import multiprocessing

import pytest
from sqlalchemy import func, select

from core.ledger import Ledger, connect, schema, shards, workers
from core.ledger.states import JobState
from core.ledger.workers import WorkerState
from core.messages import RenderHint
from tests.contracts.ledger_rows import Rows, result

pytestmark = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
PROCESSES, SHARDS, LEASE = 4, 300, 60.0


def test_four_processes_do_each_shard_once_and_none_is_turned_away(ledger: Ledger) -> None:
    rows = Rows(ledger)
    job = rows.job(SHARDS)
    asked = [(str(ledger.engine.url), job.id, rows.worker(f"w{n}")) for n in range(PROCESSES)]
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(PROCESSES, initializer=spawn.Barrier(PROCESSES).wait) as pool:
        done = pool.starmap(work, asked, chunksize=1)
    assert sum(done) == SHARDS
    assert max(done) < SHARDS, "they worked at the same time"
    job = rows.again(job)
    assert (job.state, job.shards_done) == (JobState.FINALIZING, SHARDS)
    assert job.samples_done == job.total_samples
    with ledger.read() as connection:
        attempts = select(func.sum(schema.shards.c.attempt))
        assert connection.execute(attempts).scalar() == SHARDS


def work(url: str, job: str, worker: str) -> int:
    """Try for every shard, as the others do; how many it did. Any error ends the test."""
    ledger, done = connect(url), 0
    for number in range(SHARDS):
        hint = RenderHint(job, number, 0)
        if claim := shards.claim(ledger, hint, worker, "n1", LEASE):
            shards.renew(ledger, claim, LEASE, claim.samples)
            workers.beat(ledger, worker, WorkerState.READY)
            done += shards.commit(ledger, claim, result(claim))
    ledger.close()
    return done
