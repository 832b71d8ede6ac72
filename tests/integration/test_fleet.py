"""A whole fleet: PostgreSQL, Redis, S3, an orchestrator, and workers that are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from core.ledger.states import JobState
from core.ledger.upgrade import upgrade
from core.settings import Settings, as_environment
from orchestrator.mill import Mill
from orchestrator.service import Service
from tests.conftest import Bucket
from tests.integration.yard import request, settings, until

SHARDS = 12
LEASE = 3.0


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> str | None:
    """The digest of the dataset as one machine makes it, undisturbed."""
    with Mill(settings(tmp_path_factory.mktemp("embedded")), workers=1) as mill:
        return mill.service.wait(mill.service.submit(request(SHARDS)).job.id).job.dataset_digest


@pytest.fixture
def fleet(tmp_path: Path, fresh_database: str, fresh_redis: str, s3: Bucket) -> Settings:
    """Settings of a fleet whose ledger is empty; a shard takes a third of a second."""
    upgrade(fresh_database)
    return settings(
        tmp_path / "orchestrator",
        database_url=fresh_database,
        broker_url=fresh_redis,
        broker_prefix=f"{tmp_path.name}:",
        store_url=s3.settings.store_url,
        s3_endpoint=s3.settings.s3_endpoint,
        fake_rate=40.0,
        lease_seconds=LEASE,
        renew_seconds=LEASE / 4,
        workers=0,
    )


@contextmanager
def hands(at: Settings, count: int) -> Iterator["list[subprocess.Popen[bytes]]"]:
    """So many worker processes, each with its children in a group of its own."""
    environment = {**os.environ, **as_environment(at)}
    command = [sys.executable, "-m", "workers"]
    log = (at.home.parent / "workers.log").open("ab")
    started = [
        subprocess.Popen(command, env=environment, stderr=log, start_new_session=True)
        for _ in range(count)
    ]
    try:
        yield started
    finally:
        for hand in started:
            kill(hand)
        log.close()


def kill(hand: "subprocess.Popen[bytes]") -> None:
    """End a worker and its children at once, as a power cut does."""
    if hand.poll() is None:
        os.killpg(hand.pid, signal.SIGKILL)
    hand.wait()


def under_way(service: Service, job: str, done: int) -> bool:
    status = service.status(job)
    return status.job.shards_done >= done and status.leased > 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fleet_of_any_size_makes_the_embedded_dataset(
    fleet: Settings, embedded: str | None, count: int
) -> None:
    with Mill(fleet, workers=0) as mill, hands(fleet, count):
        status = mill.service.wait(mill.service.submit(request(SHARDS)).job.id)
        assert status.job.state == JobState.SUCCEEDED
        assert status.job.dataset_digest == embedded
        assert mill.service.datasets.verify(status.job.id).problems == ()


def test_killed_workers_and_an_emptied_broker_cost_time_only(
    fleet: Settings, embedded: str | None
) -> None:
    with Mill(fleet, workers=0) as mill:
        job = mill.service.submit(request(SHARDS)).job.id
        with hands(fleet, 2) as (first, second):
            until(lambda: under_way(mill.service, job, 1), "both render")
            kill(first)
            until(lambda: under_way(mill.service, job, 3), "the other goes on")
            kill(second)
        with Redis.from_url(fleet.broker_url) as client:
            client.flushall()
        with hands(fleet, 1):
            status = mill.service.wait(job)
        assert status.job.state == JobState.SUCCEEDED
        assert status.job.dataset_digest == embedded
        report = mill.service.datasets.verify(job)
        assert (report.problems, report.samples) == ((), status.job.total_samples)
