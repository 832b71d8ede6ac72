"""Servers that go away and come back cost time, and no worker and no shard."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from core.ledger import shards
from core.ledger.states import JobState
from core.ledger.upgrade import upgrade
from core.settings import Settings
from deploy.servers import Postgres, Redis
from tests.integration.workers.floor import Floor, until


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Redis]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with Redis(folder) as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    with (
        TemporaryDirectory(prefix="spritemill-server-") as folder,
        Postgres(Path(folder)) as server,
    ):
        yield server


def test_broker_that_restarts_under_a_running_shard(settings: Settings, own_redis: Redis) -> None:
    upgrade(settings.ledger_url)
    floor = Floor(replace(settings, broker_url=own_redis.url))
    try:
        job = floor.job(samples=192, shard_samples=96)
        hand = floor.worker(fake_rate=32.0)
        floor.send(job, limit=1)
        until(lambda: hand.events("shard.claimed"), "claimed")
        own_redis.stop()
        own_redis.start()
        until(lambda: floor.now(job).shards_done == 1, "the first is done")

        def second() -> bool:
            floor.send(job)
            return floor.now(job).state is JobState.FINALIZING

        until(second, "the second is done", 60.0)
        assert hand.process.poll() is None
    finally:
        floor.close()


def test_ledger_that_restarts_under_a_running_shard(
    settings: Settings, own_postgres: Postgres
) -> None:
    url = own_postgres.create_database()
    upgrade(url)
    floor = Floor(replace(settings, database_url=url))
    try:
        job = floor.job(samples=128, shard_samples=128)
        hand = floor.worker(fake_rate=32.0)
        floor.send(job)
        until(lambda: hand.events("shard.claimed"), "claimed")
        own_postgres.stop()
        until(lambda: hand.events("lease.renewal_failed"), "the worker noticed")
        own_postgres.start()
        until(lambda: floor.now(job).state is JobState.FINALIZING, "finalizing")
        assert hand.committed() == [1]
    finally:
        floor.close()


def test_worker_does_not_take_a_broker_that_is_away_for_deafness(
    settings: Settings, own_redis: Redis
) -> None:
    upgrade(settings.ledger_url)
    floor = Floor(replace(settings, broker_url=own_redis.url))
    try:
        job = floor.job(samples=32, shard_samples=32)
        hand = floor.worker(lease_seconds=1.0)
        own_redis.stop()
        shards.hint(floor.ledger, job.id, 1, stale_after=0.0)
        until(lambda: "in 6.00 seconds" in hand.said(), "it tried for longer than two leases")
        assert hand.process.poll() is None
    finally:
        floor.close()


def test_worker_that_hears_nothing_although_hints_wait_ends_itself(floor: Floor) -> None:
    job = floor.job(samples=32, shard_samples=32)
    hand = floor.worker(lease_seconds=1.0)
    shards.hint(floor.ledger, job.id, 1, stale_after=0.0)  # but no message is sent
    assert hand.process.wait(30) == 75
    assert hand.events("worker.deaf")
