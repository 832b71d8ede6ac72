"""What the fleet's benchmarks stand on: real servers, plain rows, and what was spent where."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import psutil
from redis import Redis as Client

from core.ledger import Ledger, connect, jobs, shards, workers
from core.ledger.jobs import Job, NewJob
from core.ledger.shards import Claim, Result
from core.ledger.upgrade import upgrade
from core.ledger.workers import NewWorker, WorkerState
from core.messages import RenderHint, queue
from core.settings import Settings, as_environment
from deploy.servers import Postgres, Redis
from orchestrator.service import Service

NUMERICS = "n1"
SAMPLES = 512
LEASE = 600.0
NO_DELAY = 1e9
_MILL = """
import signal, sys
sys.modules["pandas"] = None  # where it is installed, pyarrow loads it: no part of Spritemill
from core.settings import load
from core.logs import configure
from orchestrator.mill import Mill
settings = load()
configure("warning", settings.logs / "mill.log")
with Mill(settings, workers=settings.workers):
    print("up", flush=True)
    signal.pause()
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `wanted` says what the design asks for, where it does."""

    what: str
    value: float
    unit: str
    wanted: str = ""


@dataclass(slots=True)
class Meter:
    """Wall seconds, and processor seconds of this process and of servers with their children."""

    servers: Sequence[int] = ()
    wall: float = 0.0
    own: float = 0.0
    other: float = 0.0

    @property
    def spent(self) -> float:
        """Processor seconds of all."""
        return self.own + self.other

    def __enter__(self) -> Self:
        self.other -= self._of_server()
        self.own -= time.process_time()
        self.wall -= time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.wall += time.perf_counter()
        self.own += time.process_time()
        self.other += self._of_server()

    def _of_server(self) -> float:
        return sum(processor_seconds(pid) for pid in self.servers)


def processor_seconds(pid: int) -> float:
    """Of a process and its children, also of those that have ended."""
    process = psutil.Process(pid)
    spent = sum(process.cpu_times()[:4])
    return spent + sum(sum(child.cpu_times()[:2]) for child in process.children())


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that keeps what it commits (fsync on)."""
    with (
        TemporaryDirectory(prefix="spritemill-bench-") as folder,
        Postgres(Path(folder), durable=True) as server,
    ):
        yield server


@contextmanager
def redis() -> Iterator[Redis]:
    with TemporaryDirectory(prefix="spritemill-bench-") as folder, Redis(Path(folder)) as server:
        yield server


@contextmanager
def ledger_on(server: Postgres) -> Iterator[tuple[str, Ledger]]:
    """An empty ledger with its URL."""
    url = server.create_database()
    upgrade(url)
    opened = connect(url)
    yield url, opened
    opened.close()


def add_worker(ledger: Ledger, name: str, slots: int = 2) -> None:
    new = NewWorker(name, "host", 1, 0.0, "none", NUMERICS, {"device": "none"}, slots)
    workers.register(ledger, new)
    workers.beat(ledger, name, WorkerState.READY)


def new_job(shard_count: int, owner: str = "ann", shard_samples: int = SAMPLES) -> NewJob:
    identity = jobs.new_id()
    return NewJob(
        id=identity,
        owner=owner,
        name="bench",
        request="{}",
        request_digest=identity.rjust(64, "0"),
        model="dungeon-32",
        weights="0" * 64,
        total_samples=shard_count * shard_samples,
        shard_count=shard_count,
        shard_samples=shard_samples,
        context_count=1,
    )


def add_job(ledger: Ledger, shard_count: int, owner: str = "ann") -> Job:
    """A job without rows of shards."""
    return jobs.add(ledger, new_job(shard_count, owner))[0]


def plan_all(ledger: Ledger, job: Job) -> None:
    assert shards.plan_rows(ledger, job.id, 0, [job.shard_samples] * job.shard_count)


def result(claim: Claim, seconds: float = 20.0) -> Result:
    digest = f"{claim.shard:064x}"
    folder = f"datasets/{claim.job}/"
    key, part = f"{folder}shards/{claim.shard:06d}-0123456789ab.tar", f"{folder}part.parquet"
    return Result(key, digest, 1_000_000, part, digest, claim.samples, digest, seconds)


def taken(client: "Client", settings: Settings, most: int) -> list[RenderHint]:
    """The messages that wait, up to so many, as workers would take them."""
    raw = client.rpop(settings.broker_prefix + queue(NUMERICS), most)
    waiting = raw if isinstance(raw, list) else []
    return [RenderHint(**json.loads(base64.b64decode(json.loads(m)["body"]))[1]) for m in waiting]


@contextmanager
def mill(settings: Settings) -> Iterator[psutil.Process]:
    """A mill in a process of its own, with workers that are ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MILL],
        env={**os.environ, **as_environment(settings)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if not process.stdout or process.stdout.readline() != "up\n":
            raise SystemExit(f"the mill did not start: see {settings.logs}")
        with Service(settings) as service:
            while sum(each.state == "ready" for each in service.workers()) < settings.workers:
                time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def request(count: int, samples: int, seed: int = 0) -> str:
    """A request of so many shards of so many samples."""
    asked = {"samples": count * samples, "contexts": [{"class": "potion"}], "seed": seed}
    return json.dumps({**asked, "outputs": {"shard_samples": samples, "preview": False}})


def quantile(times: Sequence[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
