"""Starting workers: what they load, and what they say when they cannot start."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
from sqlalchemy import text

from core import processes, weights
from core.ledger import workers
from core.ledger.workers import Order
from core.settings import Settings, as_environment
from tests.integration.workers.floor import Floor, until


def run(settings: Settings) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "workers"],
        check=False,
        env=os.environ | as_environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
    )


def maps(process: psutil.Process) -> str:
    return Path(f"/proc/{process.pid}/maps").read_text()


def test_only_a_rendering_child_loads_torch(floor: Floor) -> None:
    hand = floor.worker(renderer="diffusion")
    parent = psutil.Process(hand.process.pid)
    assert "torch" not in maps(parent)
    job = floor.job(samples=2, shard_samples=2, model=weights.bundled())
    floor.send(job)
    until(lambda: floor.now(job).shards_done == 1, "rendered", 120.0)
    assert "torch" not in maps(parent)
    assert ["libtorch" in maps(child) for child in hand.children()] == [True]


def test_ledger_without_tables_is_named_with_the_remedy(settings: Settings) -> None:
    ended = run(settings)
    assert ended.returncode == 2
    assert "spritemill db upgrade" in ended.stderr


def test_worker_without_a_broker_is_refused(settings: Settings) -> None:
    ended = run(replace(settings, broker_url=""))
    assert ended.returncode == 2
    assert "SPRITEMILL_BROKER_URL" in ended.stderr


def test_worker_whose_ledger_was_upgraded_under_it_leaves_its_hints_to_others(floor: Floor) -> None:
    hand = floor.worker(lease_seconds=120.0)
    with floor.ledger.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    job = floor.job(samples=2, shard_samples=2)
    floor.send(job)
    assert hand.process.wait(30) == 0, hand.said()
    assert "Install the newer Spritemill here too" in hand.said()
    assert floor.now(job).shards_leased == 0


def test_ledger_that_does_not_answer_is_told_apart(settings: Settings) -> None:
    ended = run(replace(settings, database_url="postgresql+psycopg://mill:secret@127.0.0.1:1/mill"))
    assert ended.returncode == 3
    assert "secret" not in ended.stderr


def test_worker_tells_the_ledger_who_it_is(floor: Floor) -> None:
    hand = floor.worker(slots=2)
    worker = until(lambda: workers.live(floor.ledger, 60.0), "registered")[0]
    assert (worker.id, worker.pid, worker.slots) == (hand.id, hand.process.pid, 2)
    assert worker.started == processes.started(worker.pid)
    assert worker.numerics_facts == {"renderer": "fake"}


def test_pool_starts_workers_that_outlive_it(floor: Floor) -> None:
    command = [sys.executable, "-m", "workers.pool", "start", "--count", "2", "--json"]
    started = json.loads(
        subprocess.check_output(command, env=os.environ | as_environment(floor.settings))
    )
    try:
        until(lambda: len(workers.live(floor.ledger, 60.0)) == 2, "both are ready")
        live = {worker.id: worker.pid for worker in workers.live(floor.ledger, 60.0)}
        assert live == {worker["id"]: worker["pid"] for worker in started}
        logs = [Path(worker["log"]) for worker in started]
        until(lambda: all("worker.ready" in log.read_text() for log in logs), "both say so")
    finally:
        workers.order(floor.ledger, [worker["id"] for worker in started], Order.STOP)
        until(lambda: not workers.live(floor.ledger, 60.0), "both are gone")
