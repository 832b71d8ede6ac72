"""SQLite: four worker processes on one folder claim, renew and commit 10,000 shards.

Counted is every error that reached a caller: SQLite waits by itself for whoever writes.
"""

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scale.ground import (
    LEASE,
    NUMERICS,
    Figure,
    add_job,
    add_worker,
    plan_all,
    result,
)
from core.errors import UnreachableError
from core.ledger import connect, shards
from core.ledger.upgrade import upgrade
from core.messages import RenderHint

_SHARDS, _PROCESSES = 10_000, 4


def measure() -> Iterator[Figure]:
    """All processes write as fast as they can."""
    with TemporaryDirectory(prefix="spritemill-") as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.db'}"
        upgrade(url)
        ledger = connect(url)
        add_worker(ledger, "w1", 2 * _PROCESSES)
        job = add_job(ledger, _SHARDS)
        plan_all(ledger, job)
        ledger.close()
        begun = time.perf_counter()
        with multiprocessing.get_context("spawn").Pool(_PROCESSES) as pool:
            told = pool.starmap(_play, [(url, job.id, part) for part in range(_PROCESSES)])
        seconds = time.perf_counter() - begun
        done = sum(each[0] for each in told)
        yield Figure("shards done by four processes", done, "shards", f"{_SHARDS:,}")
        yield Figure("times that 'database is locked' was told", sum(e[1] for e in told), "", "0")
        yield Figure("longest wait for one statement", max(e[2] for e in told), "s")
        yield Figure("claim + renew + commit by all", done / seconds, "shards/s")


def _play(url: str, job: str, part: int) -> tuple[int, int, float]:
    """A quarter of the shards: how many are done, how often it was locked, the longest wait."""
    ledger, done, locked, longest = connect(url), 0, 0, 0.0
    for number in range(part, _SHARDS, _PROCESSES):
        begun = time.perf_counter()
        try:
            claim = shards.claim(ledger, RenderHint(job, number, 0), "w1", NUMERICS, LEASE)
            assert claim
            shards.renew(ledger, claim, LEASE, 1)
            done += shards.commit(ledger, claim, result(claim))
        except UnreachableError as error:
            if "locked" not in error.message:
                raise
            locked += 1
        longest = max(longest, time.perf_counter() - begun)
    ledger.close()
    return done, locked, longest
