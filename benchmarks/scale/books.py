"""The ledger alone: claims and commits of one job, and what each step of a shard's way costs."""

import multiprocessing
import time
from collections.abc import Iterator

from sqlalchemy import text

from benchmarks.scale.ground import (
    LEASE,
    NUMERICS,
    Figure,
    Meter,
    add_job,
    add_worker,
    ledger_on,
    plan_all,
    postgres,
    result,
)
from core.ledger import Ledger, connect, shards
from core.ledger.shards import Claim
from core.messages import RenderHint

_WARM = 100
_TOGETHER = 32
_CALLERS = 4


def measure(count: int = 2000) -> Iterator[Figure]:
    """Claim and commit `count` shards of one job: by one process, then by several at once."""
    with postgres() as server, ledger_on(server) as (url, ledger):
        add_worker(ledger, "w1")
        _warm(ledger)
        job = add_job(ledger, count)
        servers = (server.process.pid,)
        planning, hinting, claiming, committing = (Meter(servers) for _ in range(4))
        renewing, hearing = Meter(servers), Meter(servers)
        with planning:
            plan_all(ledger, job)
        with hinting:
            for _ in range(count // _TOGETHER):
                shards.hint(ledger, job.id, _TOGETHER, stale_after=LEASE)
        size = _wal(ledger)
        with claiming:
            held = [_claim(ledger, job.id, number) for number in range(count)]
        with committing:
            for claim in held:
                assert shards.commit(ledger, claim, result(claim))
        wal = (_wal(ledger) - size) / count
        other = add_job(ledger, 1)
        plan_all(ledger, other)
        one = _claim(ledger, other.id, 0)
        with renewing:
            for step in range(_WARM):
                shards.renew(ledger, one, LEASE, step, 1.0)
        with hearing:
            for step in range(_WARM):
                shards.orders(ledger, one, LEASE, step, 1.0)
        both = claiming.wall + committing.wall
        yield Figure("claim + commit of one job, by one caller", count / both, "shards/s")
        rate = _at_once(ledger, url, count)
        yield Figure(f"the same, by {_CALLERS} callers at once", rate, "shards/s", "500")
        both = claiming.own + committing.own
        yield Figure("claim + commit, processor time of the caller", both / count * 1e3, "ms")
        for name, meter, times in (
            ("row planned, all at once, each", planning, count),
            ("claim", claiming, count),
            ("commit", committing, count),
            ("renew", renewing, _WARM),
            ("orders between tiles", hearing, _WARM),
            (f"hint {_TOGETHER} at once, each", hinting, count),
        ):
            yield Figure(f"{name}: wall", meter.wall / times * 1e3, "ms")
            yield Figure(f"{name}: processor time of the caller", meter.own / times * 1e3, "ms")
            yield Figure(f"{name}: processor time of the server", meter.other / times * 1e3, "ms")
        yield Figure("log (WAL) of a claim and a commit", wal, "bytes")
        yield from _sizes(ledger, count)


def _at_once(ledger: Ledger, url: str, count: int) -> float:
    """Shards a second of one job, as the workers of a fleet take them: each in its own process."""
    job = add_job(ledger, count + _CALLERS)
    plan_all(ledger, job)
    shards.commit(ledger, held := _claim(ledger, job.id, 0), result(held))
    asked = [(url, job.id, range(1 + part, 1 + count, _CALLERS)) for part in range(_CALLERS)]
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(_CALLERS, initializer=spawn.Barrier(_CALLERS).wait) as pool:
        spans = pool.starmap(_take, asked, chunksize=1)
    return count / (max(end for _, end in spans) - min(begin for begin, _ in spans))


def _take(url: str, job: str, numbers: range) -> tuple[float, float]:
    """Claim and commit these shards; when it began and ended."""
    ledger = connect(url)
    begun = time.time()
    for number in numbers:
        claim = _claim(ledger, job, number)
        assert shards.commit(ledger, claim, result(claim))
    ended = time.time()
    ledger.close()
    return begun, ended


def _claim(ledger: Ledger, job: str, number: int) -> Claim:
    claim = shards.claim(ledger, RenderHint(job, number, 0), "w1", NUMERICS, LEASE)
    assert claim
    return claim


def _warm(ledger: Ledger) -> None:
    job = add_job(ledger, _WARM)
    plan_all(ledger, job)
    for number in range(_WARM):
        claim = _claim(ledger, job.id, number)
        shards.commit(ledger, claim, result(claim))


def _wal(ledger: Ledger) -> int:
    with ledger.read() as connection:
        since = text("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        return int(connection.execute(since).scalar_one())


def _sizes(ledger: Ledger, count: int) -> Iterator[Figure]:
    """Bytes of a row in the table and its indexes, once the dead versions are cleared away."""
    outside = ledger.engine.execution_options(isolation_level="AUTOCOMMIT")
    with outside.connect() as connection:
        for table in ("shards", "events"):
            connection.exec_driver_sql(f"VACUUM FULL {table}")
            size = connection.exec_driver_sql(f"SELECT pg_total_relation_size('{table}')").scalar()
            rows = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            if rows >= count:
                yield Figure(f"row of {table} with its indexes", (size or 0) / rows, "bytes")
