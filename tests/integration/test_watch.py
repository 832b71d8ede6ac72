"""What who follows a job sees while a server is away: what it waits for, and that it goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from core.ledger import workers
from core.ledger.upgrade import upgrade
from core.ledger.workers import NewWorker, WorkerState
from core.settings import Settings, as_environment
from orchestrator.service import Service
from tests.chaos.proxy import Proxy
from tests.integration.yard import request

PROGRAM = [sys.executable, "-m", "orchestrator.cli"]


@pytest.fixture
def ledger(fresh_database: str) -> Iterator[Proxy]:
    upgrade(fresh_database)
    with Proxy(urlsplit(fresh_database).port or 0) as proxy:
        yield proxy


@pytest.fixture
def broker(redis_url: str) -> Iterator[Proxy]:
    with Proxy(urlsplit(redis_url).port or 0) as proxy:
        yield proxy


@pytest.fixture
def at(
    tmp_path: Path, fresh_database: str, redis_url: str, ledger: Proxy, broker: Proxy
) -> Settings:
    return Settings(
        home=tmp_path,
        owner="ada",
        database_url=ledger.address(fresh_database),
        broker_url=broker.address(redis_url),
    )


@pytest.fixture
def job(at: Settings) -> str:
    """A job of a fleet whose one worker is there, and has nothing to do."""
    with Service(at) as service:
        idle = NewWorker("w1", "mill", 4711, 1.5, "cpu", "n1", {"device": "cpu"}, 2)
        workers.register(service.ledger, idle)
        workers.beat(service.ledger, "w1", WorkerState.READY)
        return service.submit(request(2)).job.id


@contextmanager
def watching(at: Settings, job: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [*PROGRAM, "watch", job, "--json"],
        env={**os.environ, **as_environment(at)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: "subprocess.Popen[str]", text: str) -> None:
    """Read what it tells up to a line with this text."""
    assert process.stdout
    assert any(text in line for line in process.stdout), f"it ended without {text}"


def test_watch_outlives_the_database_and_says_what_it_waits_for(
    at: Settings, ledger: Proxy, job: str
) -> None:
    with watching(at, job) as process:
        read_until(process, '"waits_for": ""')
        ledger.refuse()
        read_until(process, '"waits_for": "the database, which does not answer"')
        ledger.accept()
        read_until(process, '"waits_for": ""')
        with Service(at) as service:
            service.cancel(job)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Traceback" not in said


def test_watch_names_the_broker_that_nothing_comes_from(
    at: Settings, broker: Proxy, job: str
) -> None:
    with watching(at, job) as process:
        read_until(process, '"waits_for": ""')
        broker.refuse()
        read_until(process, '"waits_for": "the broker, which does not answer"')
        broker.accept()
        read_until(process, '"waits_for": ""')


def test_status_without_a_database_names_the_setting(at: Settings, ledger: Proxy, job: str) -> None:
    ledger.refuse()
    done = subprocess.run(
        [*PROGRAM, "status", job],
        env={**os.environ, **as_environment(at)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("spritemill: database_url postgresql")
    assert "refused" in done.stderr
