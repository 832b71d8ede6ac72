"""One job of 10,000,000 samples, and beside it 1,000 small ones of another owner.

A mill of its own process with one worker of eight slots and the fake renderer, whose shards take
half a second. The small jobs have one shard each and come four a second, or slower where two wait
already: fewer than their owner's half of the slots does. Told is how long each waits from its row
to its first claim.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from sqlalchemy import select

from benchmarks.scale.ground import Figure, ledger_on, mill, postgres, quantile, redis, request
from core.ledger import Ledger, schema
from core.settings import Settings
from orchestrator.service import Service

_HUGE, _SMALL = 10_000_000, 1000
_SAMPLES, _SECONDS, _EVERY, _WAITING = 64, 0.5, 0.25, 2


def measure(small: int = _SMALL) -> Iterator[Figure]:
    """Start latency of the small jobs, and the orchestrator's memory throughout."""
    with (
        TemporaryDirectory(prefix="spritemill-") as home,
        postgres() as server,
        redis() as broker,
        ledger_on(server) as (url, ledger),
    ):
        settings = Settings(
            home=Path(home), database_url=url, broker_url=broker.url, renderer="fake", slots=8,
            fake_rate=_SAMPLES / _SECONDS, owner="ann", workers=1,
        )  # fmt: skip
        with mill(settings) as process:
            with Service(settings) as service:
                service.submit(_huge())
            waits, most = _beside(replace(settings, owner="ben"), ledger, process, small)
            longest = _longest(ledger)
        yield Figure("start of a small job: median", quantile(waits, 0.5), "s")
        yield Figure("start of a small job: the longest", max(waits), "s", f"{longest + 2:.2f}")
        yield Figure("longest shard", longest, "s")
        yield Figure("orchestrator's memory at most", most / 1e6, "MB", "under 200")


def _beside(
    settings: Settings, ledger: Ledger, process: psutil.Process, small: int
) -> tuple[Sequence[float], int]:
    most, due = 0, time.monotonic()
    with Service(settings) as service:
        for number in range(small):
            service.submit(request(1, _SAMPLES, seed=number))
            most = max(most, process.memory_info().rss)
            due = max(due + _EVERY, time.monotonic())
            while time.monotonic() < due or _waits(ledger, settings.owner).count(None) > _WAITING:
                time.sleep(0.05)
    while None in (waits := _waits(ledger, settings.owner)):
        time.sleep(0.1)
    return [wait for wait in waits if wait is not None], most


def _waits(ledger: Ledger, owner: str) -> list[float | None]:
    """How long each of an owner's jobs waited; None of those that still do."""
    jobs = schema.jobs
    query = select(jobs.c.started_at - jobs.c.created_at).where(jobs.c.owner == owner)
    with ledger.read() as connection:
        return list(connection.execute(query).scalars())


def _longest(ledger: Ledger) -> float:
    query = select(schema.shards.c.seconds).where(schema.shards.c.state == "done")
    with ledger.read() as connection:
        return float(max(connection.execute(query).scalars()))


def _huge() -> str:
    asked = {"samples": _HUGE, "contexts": [{"class": "potion"}]}
    return json.dumps({**asked, "outputs": {"shard_samples": _SAMPLES, "preview": False}})
