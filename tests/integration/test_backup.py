"""A ledger that is put back from a backup: what came after it is made again, to the same bytes."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.dataset import layout
from core.dataset.source import StoreSource
from core.dataset.verify import verify
from core.errors import ConflictError, UsageError
from core.ledger import Ledger, connect, jobs, shards, workers
from core.ledger.backup import backup
from core.ledger.shards import Result
from core.ledger.states import JobState
from core.ledger.upgrade import upgrade
from core.ledger.workers import NewWorker
from core.messages import RenderHint
from core.request.plan import Plan
from core.settings import Settings
from core.storage import Store
from core.storage import connect as open_store
from deploy.servers import Postgres
from deploy.servers.process import program
from orchestrator import admission, retention
from orchestrator.finalizer import Finalizer
from orchestrator.service import Service
from tests.integration.test_finalizer import FACTS, Unwatched
from tests.integration.yard import SHARD, request, settings
from workers.fake_renderer import FakeRenderer
from workers.render import render_shard

SHARDS = 3
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
Restore = Callable[[Settings], Settings]
Kept = tuple[Settings, Callable[[Settings], Restore]]


class Mill:
    """The only worker of a ledger, in this process."""

    def __init__(self, at: Settings) -> None:
        self.ledger: Ledger = connect(at.ledger_url)
        self.store: Store = open_store(at)
        worker = NewWorker("w1", "here", 1, 0.0, "none", "fake", FACTS, 1)
        workers.register(self.ledger, worker)

    def render(self, made: Plan, job: str, number: int) -> str:
        """Render a shard and commit it; its key."""
        claim = shards.claim(self.ledger, RenderHint(job, number, 0), "w1", "fake", 60.0)
        assert claim
        renderer = FakeRenderer(made.spec.size, 1e6)
        packed = render_shard(made, made.shard(number), renderer, Unwatched())
        tar, part = (hashlib.sha256(data).hexdigest() for data in (packed.tar, packed.part))
        key, part_key = layout.shard_key(job, number, tar), layout.part_key(job, number, part)
        self.store.put(key, packed.tar)
        self.store.put(part_key, packed.part)
        result = Result(key, tar, len(packed.tar), part_key, part, SHARD, packed.digest, 1.0)
        assert shards.commit(self.ledger, claim, result)
        return key

    def finish(self, job: str) -> str:
        """Finalize a job; the digest of its dataset."""
        Finalizer(self.ledger, self.store).step()
        row = jobs.get(self.ledger, job)
        assert row.state == JobState.SUCCEEDED
        assert verify(StoreSource(self.store, job)).problems == ()
        return row.dataset_digest or ""


def _sqlite(tmp_path: Path) -> Kept:
    def save(at: Settings) -> Restore:
        file = tmp_path / "backup.db"
        with Service(at) as service:
            service.backup(file)

        def restore(at: Settings) -> Settings:
            for end in ("", "-wal", "-shm"):
                (at.home / f"ledger.db{end}").unlink(missing_ok=True)
            shutil.copy(file, at.home / "ledger.db")
            return at

        return restore

    return settings(tmp_path / "home"), save


def _postgresql(tmp_path: Path, server: Postgres, url: str) -> Kept:
    file = str(tmp_path / "backup.pg")

    def run(name: str, at: str, *arguments: str) -> None:
        place = "--dbname=" + at.replace("+psycopg", "")
        subprocess.run([program(name, *PROGRAMS), place, *arguments], check=True)

    def save(at: Settings) -> Restore:
        run("pg_dump", at.database_url, "--format=custom", "--file", file)

        def restore(at: Settings) -> Settings:
            fresh = server.create_database()
            run("pg_restore", fresh, "--exit-on-error", "--no-owner", file)
            return replace(at, database_url=fresh)

        return restore

    return settings(tmp_path / "home", database_url=url), save


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param == "sqlite":
        return _sqlite(tmp_path)
    server = request.getfixturevalue("postgres_server")
    return _postgresql(tmp_path, server, request.getfixturevalue("fresh_database"))


def test_restored_ledger_ends_with_the_dataset_of_one_never_lost(
    kept: Kept, tmp_path: Path
) -> None:
    at, save = kept
    upgrade(at.ledger_url)
    before = Mill(at)
    made, model = admission.planned(request(SHARDS), at, lambda: None)
    job = jobs.add(before.ledger, admission.admitted(made, model, at))[0].id
    shards.plan_rows(before.ledger, job, 0, [SHARD] * SHARDS)
    first = before.render(made, job, 0)
    restore = save(at)
    later = [before.render(made, job, number) for number in (1, 2)]
    before.ledger.close()
    at = restore(at)
    after = Mill(at)
    assert jobs.get(after.ledger, job).shards_done == 1
    with Service(replace(at, keep_cancelled_days=0.0)) as service:
        assert list(retention.collect(service, 0.0)) == []
    assert [after.render(made, job, number) for number in (1, 2)] == later
    digest = after.finish(job)
    there = {info.key for info in after.store.list(layout.dataset_prefix(job))}
    assert {first, *later} <= there
    after.ledger.close()
    assert digest == _undisturbed(tmp_path / "other")


def _undisturbed(home: Path) -> str:
    at = settings(home)
    upgrade(at.ledger_url)
    mill = Mill(at)
    made, model = admission.planned(request(SHARDS), at, lambda: None)
    job = jobs.add(mill.ledger, admission.admitted(made, model, at))[0].id
    shards.plan_rows(mill.ledger, job, 0, [SHARD] * SHARDS)
    for number in range(SHARDS):
        mill.render(made, job, number)
    digest = mill.finish(job)
    mill.ledger.close()
    return digest


def test_backup_replaces_no_file(tmp_path: Path) -> None:
    at = settings(tmp_path / "home")
    upgrade(at.ledger_url)
    ledger = connect(at.ledger_url)
    backup(ledger, tmp_path / "backup.db")
    with pytest.raises(ConflictError, match=r"backup\.db: it is there already"):
        backup(ledger, tmp_path / "backup.db")
    ledger.close()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["backup.db"]


def test_backup_of_a_server_names_the_servers_own_tool(fresh_database: str, tmp_path: Path) -> None:
    upgrade(fresh_database)
    ledger = connect(fresh_database)
    with pytest.raises(UsageError, match="pg_dump"):
        backup(ledger, tmp_path / "backup.db")
    ledger.close()
