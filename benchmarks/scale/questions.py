"""How soon `status`, `list` and `workers list` answer from a ledger of a million shards."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import text

from benchmarks.scale.ground import (
    NUMERICS,
    Figure,
    Meter,
    add_worker,
    ledger_on,
    postgres,
    quantile,
)
from core.ledger import Ledger
from core.settings import Settings
from orchestrator.service import Service

_JOBS, _SHARDS, _OPEN, _WORKERS = 1000, 1000, 50, 256
_ASKED = 200
_NAME = "'jobaaaaa' || lpad((n)::text, 4, '0')"
_FILL = (
    f"INSERT INTO jobs (id, owner, name, state, priority, model, weights, request, request_digest,"
    f" numerics, total_samples, shard_count, shard_samples, context_count, shards_planned,"
    f" shards_leased, shards_done, samples_done, bytes_done, render_seconds, created_at,"
    f" started_at) SELECT {_NAME}, 'owner ' || n % 3, 'bench',"
    f" CASE WHEN n < {_OPEN} THEN 'running' ELSE 'succeeded' END, 0, 'm', repeat('0', 64),"
    f" repeat('x', 2000), repeat('0', 64), '{NUMERICS}', 512 * {_SHARDS}, {_SHARDS}, 512, 1,"
    f" {_SHARDS}, 0, 0, 0, 0, 0, n, n FROM generate_series(0, {_JOBS - 1}) n",
    f"INSERT INTO shards (job, number, samples, state, attempt, worker, lease_until, failures,"
    f" progress, seconds, key, sha256, size, part_key, part_sha256, samples_digest)"
    f" SELECT {_NAME}, i, 512, CASE WHEN n >= {_OPEN} OR i < 500 THEN 'done'"
    f" WHEN i < 505 THEN 'leased' ELSE 'pending' END, 1, 'w1',"
    f" CASE WHEN n < {_OPEN} AND i BETWEEN 500 AND 504 THEN 1e12 END, 0, 100, 20.0,"
    f" repeat('k', 60), repeat('0', 64), 1000000, repeat('k', 60), repeat('0', 64),"
    f" repeat('0', 64)"
    f" FROM generate_series(0, {_JOBS - 1}) n, generate_series(0, {_SHARDS - 1}) i",
)


def measure() -> Iterator[Figure]:
    """Service calls, as the command line makes them once it has started."""
    with postgres() as server, ledger_on(server) as (url, ledger):
        _fill(ledger)
        settings = Settings(home=Path(), database_url=url, broker_url="redis://", owner="owner 1")
        with Service(settings) as service:
            for name, ask in (
                ("status of a running job", lambda: service.status("jobaaaaa0007")),
                ("status of the latest job", lambda: service.status("latest")),
                ("list", service.list),
                ("list of everyone", lambda: service.list(everyone=True)),
                ("workers list", service.workers),
            ):
                yield from _asked(name, ask)


def _asked(name: str, ask: Callable[[], object]) -> Iterator[Figure]:
    ask()
    times = []
    with Meter() as spent:
        for _ in range(_ASKED):
            started = time.perf_counter()
            ask()
            times.append(time.perf_counter() - started)
    yield Figure(f"{name}: median", quantile(times, 0.5) * 1e3, "ms")
    yield Figure(f"{name}: 99th percentile", quantile(times, 0.99) * 1e3, "ms", "under 50")
    yield Figure(f"{name}: processor time of the caller", spent.own / _ASKED * 1e3, "ms")


def _fill(ledger: Ledger) -> None:
    for number in range(_WORKERS):
        add_worker(ledger, f"w{number}")
    outside = ledger.engine.execution_options(isolation_level="AUTOCOMMIT")
    with outside.connect() as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        for statement in (*_FILL, "VACUUM ANALYZE"):
            connection.execute(text(statement))
    ledger.close()
