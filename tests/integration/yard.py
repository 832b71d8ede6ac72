"""Embedded mills for tests: requests, waiting, and a mill in a process of its own to be killed."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from core.settings import Settings, as_environment
from orchestrator.broker import socket_path

T = TypeVar("T")
SECONDS = 60.0
SHARD = 32
_MILL = """
import signal
from core.settings import load
from core.logs import configure
from orchestrator.mill import Mill
settings = load()
configure("info", settings.logs / "mill.log")
with Mill(settings, workers=settings.workers):
    print("up", flush=True)
    signal.pause()
"""


def until(condition: Callable[[], T], what: str, seconds: float = SECONDS) -> T:
    """The first truth that the condition gives."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {seconds:g} s still not: {what}"
        time.sleep(0.02)
    return value


def settings(home: Path, **changed: Any) -> Settings:
    """Of a mill with the fake renderer. Leases are long: what is quick is not due to them."""
    values = {"renderer": "fake", "heartbeat_seconds": 0.5, "grace_seconds": 5.0, "owner": "ann"}
    return Settings(home=home, **{**values, **changed})


def request(shards: int, *, seed: int = 0, **more: Any) -> str:
    """A request of so many shards, whose contexts do not end where shards do."""
    samples = shards * SHARD
    potions = samples // 3
    contexts = [
        {"class": "potion", "samples": potions},
        {"text": "hero", "samples": samples - potions},
    ]
    outputs = {"shard_samples": SHARD, "preview": False}
    return json.dumps({"seed": seed, "contexts": contexts, "outputs": outputs, **more})


@contextmanager
def mill_process(at: Settings) -> Iterator["subprocess.Popen[str]"]:
    """A mill in a process of its own, up already; it is killed in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MILL],
        env={**os.environ, **as_environment(at)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(socket_path(at.home).parent, ignore_errors=True)
