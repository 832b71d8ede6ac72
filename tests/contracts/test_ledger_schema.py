"""Migrations, versions and query plans, on every kind of ledger."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, insert, text

import core.ledger
from core.errors import ConflictError
from core.ledger import Ledger, connect, jobs, schema, shards, workers
from core.ledger.upgrade import upgrade
from core.messages import RenderHint
from tests.contracts.ledger_rows import Rows, at_once, result

_MANY = 10_000
Act = Callable[[Rows, jobs.Job], object]


def test_migrations_make_exactly_the_tables_of_the_code(ledger: Ledger) -> None:
    with ledger.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []


def test_code_needs_the_newest_migration() -> None:
    migrations = Path(core.ledger.__file__).parent / "migrations"
    assert ScriptDirectory(str(migrations)).get_heads() == [schema.HEAD]


def test_upgrading_again_changes_nothing(ledger_url: str, rows: Rows) -> None:
    job = rows.job()
    before = rows.again(job)
    upgrade(ledger_url)
    assert rows.again(job) == before


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_upgrades_of_a_new_database_at_once_all_succeed(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("fresh_database")
    with pytest.raises(ConflictError, match="spritemill db upgrade"):
        connect(url)
    at_once(2, lambda _: upgrade(url))
    connect(url).close()


@pytest.mark.parametrize(
    ("version", "remedy"), [("0000", "spritemill db upgrade"), ("9999", "Install the newer")]
)
def test_ledgers_of_other_versions_are_refused(
    ledger: Ledger, ledger_url: str, version: str, remedy: str
) -> None:
    _set_version(ledger, version)
    try:
        with pytest.raises(ConflictError, match=remedy):
            connect(ledger_url)
        assert ledger.version() == version
    finally:
        _set_version(ledger, schema.HEAD)


def test_newer_ledgers_are_not_downgraded(ledger: Ledger, ledger_url: str) -> None:
    _set_version(ledger, "9999")
    try:
        with pytest.raises(ConflictError, match="newer"):
            upgrade(ledger_url)
    finally:
        _set_version(ledger, schema.HEAD)


@pytest.mark.parametrize(
    "act",
    [
        lambda rows, job: jobs.get(rows.ledger, job.id),
        lambda rows, job: shards.progress(rows.ledger, job.id),
        lambda rows, job: shards.in_hand(rows.ledger),
        lambda rows, job: shards.queued(rows.ledger),
        lambda rows, job: shards.queued_by_job(rows.ledger),
        lambda rows, job: shards.queued(rows.ledger, "n1"),
        lambda rows, job: shards.unhint(rows.ledger, 60.0),
        lambda rows, job: shards.hint(rows.ledger, job.id, 5, stale_after=60.0),
        lambda rows, job: shards.claim(
            rows.ledger, RenderHint(job.id, _MANY - 1, 0), "w1", "n1", 60.0
        ),
        lambda rows, job: shards.renew(rows.ledger, rows.held(job, _MANY - 1), 60.0, 5),
        lambda rows, job: shards.orders(rows.ledger, rows.held(job, _MANY - 1), 60.0, 5),
        lambda rows, job: _commit(rows, job),
        lambda rows, job: shards.expire(rows.ledger),
        lambda rows, job: workers.bury(rows.ledger, ["w1"]),
        lambda rows, job: shards.done(rows.ledger, job.id, 5000, 100),
    ],
    ids=[
        *("get", "progress", "in_hand", "queued", "queued_by_job", "queued_for", "unhint", "hint"),
        *("claim", "renew", "orders", "commit", "expire", "bury", "done"),
    ],
)
def test_no_statement_reads_all_the_shards_of_a_big_job(rows: Rows, act: Act) -> None:
    job = _big_job(rows)
    rows.held(job, _MANY - 2, lease=-1.0)
    with _plans(rows.ledger) as plans:
        act(rows, job)
    assert plans
    reading_all = re.compile(r"SCAN shards|Seq Scan on shards")
    assert not [plan for plan in plans if reading_all.search(plan)]


def _commit(rows: Rows, job: jobs.Job) -> bool:
    claim = rows.held(job, _MANY - 1)
    return shards.commit(rows.ledger, claim, result(claim))


def _big_job(rows: Rows) -> jobs.Job:
    """All but the last ten shards are done."""
    job, _ = jobs.add(rows.ledger, rows.new(shard_count=_MANY))
    numbers = range(_MANY)
    states = ["pending" if number >= _MANY - 10 else "done" for number in numbers]
    values = [
        {"job": job.id, "number": number, "samples": 10, "state": state}
        for number, state in zip(numbers, states, strict=True)
    ]
    with rows.ledger.write() as connection:
        connection.execute(insert(schema.shards), values)
    with rows.ledger.write() as connection:
        connection.execute(text("ANALYZE"))
    return job


@contextmanager
def _plans(ledger: Ledger) -> Iterator[list[str]]:
    """How the database would run each statement that the block runs."""
    run: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "WITH")):
            run.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    plans: list[str] = []
    try:
        yield plans
    finally:
        event.remove(ledger.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN" if ledger.engine.dialect.name == "sqlite" else "EXPLAIN"
    with ledger.read() as connection:
        for statement, parameters in run:
            lines = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            plans.append("\n".join(str(line) for line in lines))


def _set_version(ledger: Ledger, version: str) -> None:
    with ledger.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})
