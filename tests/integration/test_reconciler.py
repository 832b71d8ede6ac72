"""What dead workers leave behind is put right."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from core import processes
from core.errors import UnreachableError
from core.ledger import Ledger, connect, jobs, shards, workers
from core.ledger.jobs import NewJob
from core.ledger.shards import Claim, Orders
from core.ledger.upgrade import upgrade
from core.ledger.workers import NewWorker, WorkerState
from core.messages import RenderHint
from core.settings import Settings
from deploy.servers import Postgres
from orchestrator.reconciler import Reconciler, bury_dead
from tests.integration.yard import settings, until

HERE = socket.gethostname()
LONG = 600.0


class Scene:
    """A ledger with a worker that holds a shard."""

    def __init__(self, at: Settings) -> None:
        upgrade(at.ledger_url)
        self.settings = at
        self.ledger: Ledger = connect(at.ledger_url)
        self.job = jobs.new_id()
        new = NewJob(self.job, "ann", "job", "{}", "0" * 64, "m", "0" * 64, 32, 1, 32, 1)
        jobs.add(self.ledger, new)
        shards.plan_rows(self.ledger, self.job, 0, [32])

    def worker(self, host: str, pid: int, started: float, lease: float = LONG) -> Claim | None:
        new = NewWorker("w1", host, pid, started, "none", "fake", {}, 1)
        workers.register(self.ledger, new)
        workers.beat(self.ledger, "w1", WorkerState.READY)
        hint = RenderHint(self.job, 0, 0)
        return shards.claim(self.ledger, hint, "w1", "fake", lease)

    def judge(self, reconciler: Reconciler) -> None:
        """Have it look until the lease of the shard is taken."""

        def returned() -> bool:
            reconciler.step()
            return self.leased == 0

        until(returned, "the shard is returned")

    @property
    def leased(self) -> int:
        return jobs.get(self.ledger, self.job).shards_leased

    @property
    def state(self) -> str:
        return workers.list(self.ledger)[0].state


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(settings(tmp_path))
    yield made
    made.ledger.close()


@pytest.fixture
def ended() -> tuple[int, float]:
    """The pid and start of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        return process.pid, processes.started(process.pid)


def test_shard_of_a_dead_process_goes_back_at_once(scene: Scene, ended: tuple[int, float]) -> None:
    assert scene.worker(HERE, *ended)
    Reconciler(scene.ledger, scene.settings).step()
    assert (scene.leased, scene.state) == (0, "gone")


def test_living_process_keeps_its_shard(scene: Scene) -> None:
    assert scene.worker(HERE, os.getpid(), processes.started())
    Reconciler(scene.ledger, scene.settings).step()
    assert (scene.leased, scene.state) == (1, "ready")


def test_processes_of_other_hosts_are_not_judged_by_pid(
    scene: Scene, ended: tuple[int, float]
) -> None:
    assert scene.worker("elsewhere", *ended)
    Reconciler(scene.ledger, scene.settings).step()
    assert (scene.leased, scene.state) == (1, "ready")


def test_shared_database_is_not_judged_by_pid(scene: Scene, ended: tuple[int, float]) -> None:
    assert scene.worker(HERE, *ended)
    shared = Settings(database_url="postgresql+psycopg://nobody@localhost/none")
    bury_dead(scene.ledger, shared)
    assert (scene.leased, scene.state) == (1, "ready")


def test_silent_worker_is_gone_but_keeps_its_lease(scene: Scene) -> None:
    scene.worker("elsewhere", 1, 0.0)
    quick = settings(scene.settings.home, heartbeat_seconds=0.01, renew_seconds=0.01)
    reconciler = Reconciler(scene.ledger, quick)

    def gone() -> bool:
        reconciler.step()
        return scene.state == "gone"

    until(gone, "the worker is gone")
    assert scene.leased == 1


def test_expired_lease_returns_shard_to_queue(scene: Scene) -> None:
    scene.worker("elsewhere", 1, 0.0, lease=0.05)
    scene.judge(Reconciler(scene.ledger, settings(scene.settings.home, renew_seconds=0.01)))
    assert shards.hint(scene.ledger, scene.job, 1, stale_after=LONG)


def test_leases_that_ran_out_before_this_orchestrator_led_may_be_renewed_first(
    scene: Scene,
) -> None:
    held = scene.worker("elsewhere", 1, 0.0, lease=-1.0)
    assert held
    Reconciler(scene.ledger, scene.settings).step()
    assert shards.renew(scene.ledger, held, LONG, 0) is Orders.GO


def test_leases_that_ran_out_while_the_machine_slept_may_be_renewed_first(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = settings(scene.settings.home, renew_seconds=0.5)
    reconciler = Reconciler(scene.ledger, quick)
    scene.worker("elsewhere", 1, 0.0, lease=-1.0)
    scene.judge(reconciler)
    held = shards.claim(scene.ledger, RenderHint(scene.job, 0, 1), "w1", "fake", -1.0)
    assert held
    noon = time.time()
    monkeypatch.setattr("time.time", lambda: noon + LONG)
    reconciler.step()
    assert scene.leased == 1
    scene.judge(reconciler)


def test_leases_that_ran_out_while_the_ledger_was_away_may_be_renewed_first(
    tmp_path: Path,
) -> None:
    with (
        TemporaryDirectory(prefix="spritemill-") as open_to_all,
        Postgres(Path(open_to_all)) as server,
    ):
        at = settings(tmp_path, database_url=server.create_database(), renew_seconds=1.0)
        scene = Scene(at)
        reconciler = Reconciler(scene.ledger, at)
        reconciler.step()
        held = scene.worker("elsewhere", 1, 0.0, lease=0.2)
        assert held
        server.stop()
        with pytest.raises(UnreachableError):
            reconciler.step()
        server.start()
        reconciler.step()  # by now the lease is past, for a start takes longer
        assert scene.leased == 1
        assert shards.renew(scene.ledger, held, LONG, 0) is Orders.GO
        scene.ledger.close()
