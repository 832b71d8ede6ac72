"""A pool that changes while a job runs: nothing is lost, nothing made twice, nobody idles."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.ledger.states import JobState
from core.settings import Settings, as_environment
from orchestrator.mill import Mill
from orchestrator.service import Service
from tests.integration.yard import SHARD, request, settings, until


@contextmanager
def worker(at: Settings, name: str, **changed: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker with a single slot and this id."""
    environment = {**os.environ, **as_environment(replace(at, slots=1, **changed))}
    command = [sys.executable, "-m", "workers", "--id", name]
    with (at.home / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def ready(service: Service) -> int:
    return sum(worker.state == "ready" for worker in service.workers())


def made(service: Service) -> dict[str, int]:
    """The shards that each worker has committed."""
    return {worker.id: worker.samples_done // SHARD for worker in service.workers()}


def test_workers_of_different_speeds_end_together(tmp_path: Path) -> None:
    shards, fast, slow = 12, SHARD / 1.0, SHARD / 3.0
    with Mill(settings(tmp_path), workers=0) as mill, ExitStack() as stack:
        stack.enter_context(worker(mill.settings, "fast", fake_rate=fast))
        stack.enter_context(worker(mill.settings, "slow", fake_rate=slow))
        until(lambda: ready(mill.service) == 2, "both are there")
        status = mill.service.wait(mill.service.submit(request(shards)).job.id)
        counts = made(mill.service)
    assert status.job.state == JobState.SUCCEEDED
    assert counts["fast"] + counts["slow"] == shards
    assert 2 <= counts["slow"] <= 4, "3 of 12 where neither waits for the other"


def test_workers_that_drain_or_are_preempted_lose_and_repeat_nothing(tmp_path: Path) -> None:
    shards, rate = 24, SHARD / 0.3
    with Mill(settings(tmp_path, fake_rate=rate), workers=0) as mill, ExitStack() as stack:
        service = mill.service
        stack.enter_context(worker(mill.settings, "drained"))
        preempted = stack.enter_context(worker(mill.settings, "preempted", grace_seconds=0.0))
        until(lambda: ready(service) == 2, "both are there")
        job = service.submit(request(shards)).job.id
        until(lambda: min(made(service).values()) >= 2, "both have made some")
        service.order_workers(["drained"], "drain")
        preempted.send_signal(signal.SIGTERM)
        assert preempted.wait(30) == 0
        until(lambda: not ready(service), "both have left")
        left = service.status(job).job
        assert left.shards_done == sum(made(service).values()) < shards
        stack.enter_context(worker(mill.settings, "last"))
        assert service.wait(job).job.state == JobState.SUCCEEDED
        assert made(service)["last"] == shards - left.shards_done
        kinds = [event.kind for event in service.events(job)]
        assert kinds.count("shard.released") <= 1, "the preempted one's, the drained one ended its"
        assert not service.status(job).job.failures
        assert service.datasets.verify(job).problems == ()


def test_priority_that_is_changed_bites_within_a_tile(tmp_path: Path) -> None:
    tiles, tile_seconds = 30, 1.0
    with Mill(settings(tmp_path, fake_rate=SHARD / tile_seconds, slots=1), workers=1) as mill:
        service = mill.service
        large = {"shard_samples": tiles * SHARD, "preview": False}
        long = service.submit(request(3 * tiles, outputs=large)).job.id
        later = service.submit(request(2, seed=1, priority=-1)).job.id
        until(lambda: service.status(long).samples_drawn, "the first shard is under way")
        service.prioritise(later, 1)
        begun = time.monotonic()
        assert service.wait(later).job.state == JobState.SUCCEEDED
        assert time.monotonic() - begun < (tiles - 10) * tile_seconds, "by no shard's end"
        left = service.status(long).job
        assert left.shards_done == 0
        assert not left.failures
        service.cancel(long)
