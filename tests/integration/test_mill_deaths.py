"""What an embedded mill survives: the deaths of its workers, its broker, and its own."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from core.ledger.states import JobState
from core.settings import Settings
from orchestrator import broker
from orchestrator.mill import Mill
from orchestrator.progress import JobStatus
from orchestrator.service import Service
from tests.integration.yard import mill_process, request, settings, until

SHARDS = 8
LEASE = 90.0


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str | None:
    """Of the dataset when nothing goes wrong."""
    with Mill(settings(tmp_path_factory.mktemp("calm")), workers=1) as mill:
        job = mill.service.submit(request(SHARDS)).job.id
        return mill.service.wait(job).job.dataset_digest


def slow(home: Path, **changed: float) -> Settings:
    """A shard takes 0.8 s here, and no lease runs out while a test runs."""
    return settings(home, fake_rate=40.0, lease_seconds=LEASE, **changed)


def some_done(service: Service, job: str) -> bool:
    status = service.status(job)
    return bool(status.job.shards_done and status.leased)


def check(status: JobStatus, digest: str | None, begun: float) -> None:
    assert status.job.state == JobState.SUCCEEDED
    assert status.job.dataset_digest == digest
    assert time.monotonic() - begun < LEASE / 2, "it waited for a lease to run out"


def test_emptied_broker_loses_no_work(tmp_path: Path, digest: str | None) -> None:
    begun = time.monotonic()
    with Mill(slow(tmp_path), workers=1) as mill:
        job = mill.service.submit(request(SHARDS)).job.id
        until(lambda: some_done(mill.service, job), "work goes on")
        with broker.client(mill.settings.broker_url) as client:
            client.flushall()
        check(mill.service.wait(job), digest, begun)


def test_killed_broker_is_replaced(tmp_path: Path, digest: str | None) -> None:
    begun = time.monotonic()
    with Mill(slow(tmp_path), workers=1) as mill:
        job = mill.service.submit(request(SHARDS)).job.id
        until(lambda: some_done(mill.service, job), "work goes on")
        with broker.client(mill.settings.broker_url) as client:
            pid = int(client.info("server")["process_id"])
        os.kill(pid, signal.SIGKILL)
        check(mill.service.wait(job), digest, begun)


def test_killed_worker_is_replaced_and_its_shards_rendered_again(
    tmp_path: Path, digest: str | None
) -> None:
    begun = time.monotonic()
    with Mill(slow(tmp_path), workers=1) as mill:
        job = mill.service.submit(request(SHARDS)).job.id
        until(lambda: some_done(mill.service, job), "work goes on")
        (first,) = mill.service.workers()
        worker = psutil.Process(first.pid)
        for process in (*worker.children(recursive=True), worker):
            process.suspend()
        held = mill.service.status(job).leased
        worker.kill()
        check(mill.service.wait(job), digest, begun)
        states = {worker.id: worker.state for worker in mill.service.workers()}
        assert len(states) == 2
        assert states[first.id] == "gone"
        orphans = [e for e in mill.service.events(job) if e.kind == "shard.orphaned"]
        assert len(orphans) == held


def test_killed_mill_leaves_no_process_and_goes_on_at_once(
    tmp_path: Path, digest: str | None
) -> None:
    at = slow(tmp_path, workers=1)
    with Service(at) as service:
        with mill_process(at) as process:
            job = service.submit(request(SHARDS)).job.id
            until(lambda: some_done(service, job), "work goes on")
            family = psutil.Process(process.pid).children(recursive=True)
            assert len(family) > 2
            process.kill()
        _, left = psutil.wait_procs(family, timeout=20)
        assert not left
        held = service.status(job).leased
    begun = time.monotonic()
    with Mill(at, workers=1) as mill:
        check(mill.service.wait(job), digest, begun)
        kinds = {event.kind for event in mill.service.events(job)}
        assert ("shard.released" in kinds) is bool(held)
        assert not kinds & {"shard.failed", "shard.orphaned", "shard.expired"}
