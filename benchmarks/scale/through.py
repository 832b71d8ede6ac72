"""End to end: shards through dispatcher, Redis and Celery to a finished dataset, nothing drawn."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scale.ground import (
    NO_DELAY,
    Figure,
    ledger_on,
    postgres,
    processor_seconds,
    redis,
    request,
)
from core.logs import configure
from core.settings import Settings
from orchestrator.mill import Mill

_SHARDS, _SAMPLES, _SLOTS = 1500, 8, 8


def measure() -> Iterator[Figure]:
    """One job of small shards by one worker of eight slots, whose renderer waits for nothing."""
    with (
        TemporaryDirectory(prefix="spritemill-") as home,
        postgres() as server,
        redis() as broker,
        ledger_on(server) as (url, _),
    ):
        settings = Settings(
            home=Path(home), database_url=url, broker_url=broker.url, renderer="fake",
            fake_rate=NO_DELAY, owner="ann", slots=_SLOTS,
        )  # fmt: skip
        configure("warning", settings.logs / "mill.log")
        with Mill(settings, workers=1) as mill:
            while not any(worker.state == "ready" for worker in mill.service.workers()):
                time.sleep(0.05)
            pids = {
                "both servers": [server.process.pid, broker.process.pid],
                "workers": [worker.pid for worker in mill.service.workers()],
            }
            before = {who: _spent(found) for who, found in pids.items()}
            own = time.process_time()
            job = mill.service.wait(mill.service.submit(request(_SHARDS, _SAMPLES)).job.id).job
            own = time.process_time() - own
            spent = {who: _spent(found) - before[who] for who, found in pids.items()}
            story = mill.service.events(job.id)
        begun = next(event.at for event in story if event.kind == "job.running")
        done = next(event.at for event in story if event.kind == "job.finalizing")
        yield Figure("first claim to last commit", _SHARDS / (done - begun), "shards/s", "150")
        yield Figure("processor time a shard: orchestrator", own / _SHARDS * 1e3, "ms")
        for who, seconds in spent.items():
            yield Figure(f"processor time a shard: {who}", seconds / _SHARDS * 1e3, "ms")


def _spent(pids: list[int]) -> float:
    return sum(processor_seconds(pid) for pid in pids)
