"""A soak: two workers and small shards for half an hour; does anything grow?

Every 10 s the resident memory, open files and connections of the mill and of each of its worker
processes. The first third is warm-up. Flat is what, by a line through the rest, grows by less than
5 % of its middle within the time measured.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.scale.ground import Figure, ledger_on, mill, postgres, redis, request
from core.settings import Settings
from orchestrator.service import Service

_SHARDS, _SAMPLES, _RATE = 100, 16, 400.0
_EVERY = 10.0
_WARM = 1 / 3


def measure(minutes: float = 30.0) -> Iterator[Figure]:
    """Jobs one after the other, two of them open; growth of each process, in percent."""
    with (
        TemporaryDirectory(prefix="spritemill-") as home,
        postgres() as server,
        redis() as broker,
        ledger_on(server) as (url, _),
    ):
        settings = Settings(
            home=Path(home), database_url=url, broker_url=broker.url, renderer="fake",
            fake_rate=_RATE, owner="ann", workers=2,
        )  # fmt: skip
        with mill(settings) as process, Service(settings) as service:
            told, done = _watch(process, service, minutes)
        for (name, what), values in sorted(told.items()):
            rest = values[int(_WARM * len(values)) :]
            middle = statistics.median(rest)
            yield Figure(f"{name}: {what}, middle", middle, "MB" if what == "memory" else "")
            yield Figure(f"{name}: {what}, growth", _growth(rest), "%", "within 5")
        yield Figure("shards done", done, "shards")


def _watch(
    process: psutil.Process, service: Service, minutes: float
) -> tuple[dict[tuple[str, str], list[float]], int]:
    told: dict[tuple[str, str], list[float]] = defaultdict(list)
    seed, until = 0, time.monotonic() + 60 * minutes
    while (moment := time.monotonic()) < until:
        while len(service.list(states=["planned", "running"])) < 2:
            seed += 1
            service.submit(request(_SHARDS, _SAMPLES, seed))
        for name, one in _processes(process):
            told[name, "memory"].append(one.memory_info().rss / 1e6)
            told[name, "open files"].append(one.num_fds())
            told[name, "connections"].append(len(one.net_connections()))
        time.sleep(max(0.0, moment + _EVERY - time.monotonic()))
    return told, sum(job.shards_done for job in service.list(limit=10_000))


def _processes(mill: psutil.Process) -> Iterator[tuple[str, psutil.Process]]:
    yield "mill", mill
    for one in mill.children(recursive=True):
        yield f"child {one.pid}", one


def _growth(values: Sequence[float]) -> float:
    """Percent of the middle by which a line through equally spaced values rises over all."""
    middle = statistics.median(values)
    if len(values) < 2 or not middle:  # a line needs two points
        return 0.0
    slope = statistics.linear_regression(range(len(values)), values).slope
    return 100 * slope * (len(values) - 1) / middle
