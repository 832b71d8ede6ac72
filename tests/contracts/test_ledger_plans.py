"""What is asked often searches an index: no scan of shards, jobs or events, however many."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from core.ledger import Ledger, events, jobs, leftovers, limits, shards, workers
from core.messages import RenderHint
from core.settings import Settings
from orchestrator.service import Service
from tests.contracts.ledger_rows import Rows, result

JOBS, SHARDS = 2000, 40_000
JOB = "jobaaaaa0007"
NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {})"
MANY = (
    f"{NUMBERS.format(JOBS - 1)} INSERT INTO jobs (id, owner, name, state, priority, model,"
    " weights, request, request_digest, numerics, total_samples, shard_count, shard_samples,"
    " context_count, shards_planned, shards_leased, shards_done, samples_done, bytes_done,"
    " render_seconds, created_at, started_at)"
    " SELECT 'jobaaaaa' || substr(CAST(10000 + n AS text), 2), 'ann', 'heroes',"
    " CASE WHEN n < 20 THEN 'running' ELSE 'succeeded' END, 0, 'm', 'w', '{}', 'd', 'n1',"
    " 200, 20, 10, 1, 20, 0, 0, 0, 0, 0, n, n FROM numbers",
    f"{NUMBERS.format(SHARDS - 1)} INSERT INTO shards (job, number, samples, state, attempt,"
    " failures, progress) SELECT 'jobaaaaa' || substr(CAST(10000 + n / 20 AS text), 2), n % 20, 10,"
    " CASE WHEN n < 400 THEN 'pending' ELSE 'done' END, 0, 0, 0 FROM numbers",
    f"{NUMBERS.format(SHARDS - 1)} INSERT INTO events (at, job, kind, fields) SELECT n,"
    " 'jobaaaaa' || substr(CAST(10000 + n / 20 AS text), 2), 'job.running', '{}' FROM numbers",
)
Asked = Callable[[Ledger, Service], object]
HINT = RenderHint(JOB, 0, 0)


@pytest.fixture
def crowded(ledger: Ledger) -> Ledger:
    """A ledger with many rows, of which PostgreSQL has statistics, as it would by itself."""
    Rows(ledger).worker("w1")
    with ledger.write() as connection:
        for statement in MANY:
            connection.execute(text(statement))
        if ledger.postgresql:
            connection.execute(text("ANALYZE"))
    return ledger


def test_no_hot_statement_scans_a_table_that_grows(crowded: Ledger, tmp_path: Path) -> None:
    url = crowded.engine.url.render_as_string(hide_password=False)
    settings = Settings(home=tmp_path, database_url=url, broker_url="redis://none", owner="ann")
    with Service(settings) as service:
        for name, ask in HOT.items():
            with heard(service.ledger) as told:
                ask(service.ledger, service)
            assert told, f"{name} asked nothing"
            for statement, parameters in told:
                scans = scanned(crowded, statement, parameters)
                assert not scans, f"{name} reads all of {scans}: {statement}"


def test_scan_is_noticed(crowded: Ledger) -> None:
    statement = "SELECT count(*) FROM shards WHERE samples = 3"
    assert scanned(crowded, statement, ()) == ["shards"]


def claimed(ledger: Ledger, number: int) -> shards.Claim:
    found = shards.claim(ledger, RenderHint(JOB, number, 0), "w1", "n1", 600.0)
    assert found
    return found


def back_and_forth(ledger: Ledger, _: Service) -> None:
    held = claimed(ledger, 1)
    shards.renew(ledger, held, 600.0, 1)
    shards.orders(ledger, held, 600.0, 1)
    assert shards.commit(ledger, held, result(held))
    shards.release(ledger, claimed(ledger, 2))


HOT: dict[str, Asked] = {
    "status": lambda _, service: service.status(JOB),
    "status of the latest": lambda _, service: service.status("latest"),
    "list": lambda _, service: service.list(),
    "list of everyone": lambda _, service: service.list(everyone=True),
    "list of the running": lambda _, service: service.list(states=["running"]),
    "workers list": lambda _, service: service.workers(),
    "events": lambda ledger, _: events.of(ledger, JOB),
    "claim, renew, hear, commit, release": back_and_forth,
    "hint": lambda ledger, _: shards.hint(ledger, JOB, 3, stale_after=60.0),
    "hint of several": lambda ledger, _: shards.hint_all(
        ledger, {JOB: 2, "jobaaaaa0008": 2}, stale_after=60.0
    ),
    "queued by job": lambda ledger, _: shards.queued_by_job(ledger),
    "unhint": lambda ledger, _: shards.unhint(ledger, 60.0),
    "runnable": lambda ledger, _: jobs.runnable(ledger),
    "planned": lambda ledger, _: jobs.any_planned(ledger),
    "finalizing": lambda ledger, _: jobs.finalizing(ledger),
    "left": lambda ledger, _: leftovers.due(ledger),
    "expire": lambda ledger, _: shards.expire(ledger),
    "overdue": lambda ledger, _: limits.overdue(ledger),
    "bury": lambda ledger, _: workers.bury(ledger, ["w1"]),
    "done": lambda ledger, _: shards.done(ledger, JOB, limit=5),
}


@contextmanager
def heard(ledger: Ledger) -> Iterator[list[tuple[str, Any]]]:
    """The statements on rows that the database was asked."""
    told: list[tuple[str, Any]] = []

    def note(*asked: Any) -> None:
        _, _, statement, parameters, _, many = asked
        if re.match(r"\s*(SELECT|UPDATE|DELETE|WITH)\b", statement) and not many:
            told.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    try:
        yield told
    finally:
        event.remove(ledger.engine, "before_cursor_execute", note)


def scanned(ledger: Ledger, statement: str, parameters: Any) -> Sequence[str]:
    """The growing tables that the statement's plan reads from end to end."""
    explain = "EXPLAIN " if ledger.postgresql else "EXPLAIN QUERY PLAN "
    with ledger.read() as connection:
        rows = connection.exec_driver_sql(explain + statement, parameters).all()
    plan = "\n".join(str(row[-1]) for row in rows)
    scan = (
        r"Seq Scan on (shards|jobs|events)\b"
        if ledger.postgresql
        else (r"SCAN (shards|jobs|events)(?! USING)")
    )
    return re.findall(scan, plan)
