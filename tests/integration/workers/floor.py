"""A shop floor for tests: ledger, store, broker, and real workers with the fake renderer."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import psutil
from celery import Celery

from core import ledger as ledgers
from core import messages, storage, weights
from core.ledger import jobs, shards
from core.ledger.jobs import Job, NewJob
from core.messages import RenderHint
from core.request import load
from core.request.plan import digest, plan
from core.settings import Settings, as_environment
from core.weights.spec import ModelSpec, SamplingDefaults

T = TypeVar("T")
SECONDS = 30.0
_FAULTY = "tests.integration.workers.faulty"
TILE = 32
SPEC = ModelSpec(
    name="tiny-16",
    title="A model for tests",
    size=16,
    channels=4,
    classes=("hero", "potion"),
    words=("blue",),
    sigma_min=0.002,
    sigma_max=80.0,
    sigma_data=0.5,
    unet={},
    flops=1,
    licence="CC0-1.0",
    data="none",
    trained="never",
    defaults=SamplingDefaults(sampler="dpmpp_2m", steps=12, guidance=2.0),
)


def until(condition: Callable[[], T], what: str, seconds: float = SECONDS) -> T:
    """The first truth that the condition gives."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {seconds:g} s still not: {what}"
        time.sleep(0.02)
    return value


class Hand:
    """A process with its log: a worker, or another `program` that logs as one."""

    def __init__(
        self,
        settings: Settings,
        log: Path,
        program: Sequence[str] = ("workers",),
        **environment: str,
    ) -> None:
        self._log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *program],
                env=os.environ | as_environment(settings) | environment,
                stdout=out,
                stderr=out,
            )

    @property
    def id(self) -> str:
        return str(self.events("worker.ready")[0]["worker"])

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it logged under this name."""
        lines = self._log.read_text().rpartition("\n")[0].splitlines()
        logged = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in logged if event["event"] == name]

    def committed(self) -> list[int]:
        """The attempts that it committed, one at least; the ledger knows of them before the log."""
        logged = until(lambda: self.events("shard.committed"), "committed")
        return [event["attempt"] for event in logged]

    def said(self) -> str:
        return self._log.read_text()

    def parent(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def children(self) -> list[psutil.Process]:
        return self.parent().children(recursive=True)

    def pids(self) -> set[int]:
        """Of it and its children; none once it has ended."""
        if self.process.poll() is not None:
            return set()
        return {self.process.pid, *(child.pid for child in self.children())}

    def signal(self, number: signal.Signals) -> None:
        """To the parent and all its children."""
        for process in [*self.children(), self.parent()]:
            process.send_signal(number)

    def end(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


class Floor:
    """Plays the orchestrator by hand, so that a test decides what happens when."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ledger = ledgers.connect(settings.ledger_url)
        self.store = storage.connect(settings)
        self._hands: list[Hand] = []
        self._publisher = Celery("test", set_as_current=False)
        self._publisher.conf.update(messages.celery_options(settings, settings.broker_url))

    def close(self) -> None:
        for hand in self._hands:
            hand.end()
        self._publisher.close()
        self.ledger.close()

    def worker(self, **changed: Any) -> Hand:
        """Start a worker and wait until it is ready."""
        return self._start(Hand(replace(self.settings, **changed), self._log()))

    def faulty_worker(self, faults: Mapping[str, str], **changed: Any) -> Hand:
        """Start a worker that fails at these noise keys, and logs its tiles, as `faulty` tells."""
        at = replace(self.settings, **changed)
        told = json.dumps(dict(faults))
        return self._start(Hand(at, self._log(), (_FAULTY,), FAULTS=told))

    def freeze(self, *processes: psutil.Process) -> None:
        """Stop them outside of a transaction: on SQLite one stopped within would shut out all."""
        with self.ledger.write():
            for process in processes:
                process.suspend()

    def _log(self) -> Path:
        return self.settings.home / f"worker-{len(self._hands)}.log"

    def _start(self, hand: Hand) -> Hand:
        self._hands.append(hand)
        until(lambda: hand.events("worker.ready") or hand.process.poll() is not None, "ready")
        return hand

    def job(self, samples: int, shard_samples: int, model: Path | None = None) -> Job:
        """Accept a job of one context and write its rows."""
        data = model.read_bytes() if model else _weights_file()
        spec = weights.read_spec(model) if model else SPEC
        sha256 = hashlib.sha256(data).hexdigest()
        self.store.put(f"models/{sha256}.safetensors", data)
        text = f"samples: {samples}\noutputs: {{shard_samples: {shard_samples}}}\n"
        asked = "contexts: [{class: hero}]\nsampling: {steps: 1}"
        made = plan(load.parse(text + asked), spec)
        new = NewJob(
            id=jobs.new_id(),
            owner="tester",
            name="test",
            request=load.canonical(made.request),
            request_digest=digest(made, sha256),
            model=spec.name,
            weights=sha256,
            total_samples=made.total,
            shard_count=made.shard_count,
            shard_samples=made.shard_samples,
            context_count=made.context_count,
            priority=0,
        )
        job, _ = jobs.add(self.ledger, new, again=True)
        counts = [made.shard(number).count for number in range(made.shard_count)]
        assert shards.plan_rows(self.ledger, job.id, 0, counts)
        return job

    def send(self, job: Job, limit: int = 1000) -> list[RenderHint]:
        """Hint at shards that may be claimed."""
        hints = shards.hint(self.ledger, job.id, limit, stale_after=0.0)
        for hint in hints:
            self.post(hint)
        return hints

    def post(self, hint: RenderHint) -> None:
        job = jobs.get(self.ledger, hint.job) if hint.job != UNKNOWN else None
        queue = messages.queue(job.numerics if job else None)
        self._publisher.send_task(messages.RENDER, kwargs=hint.payload(), queue=queue)

    def now(self, job: Job) -> Job:
        return jobs.get(self.ledger, job.id)


UNKNOWN = "z" * 12


def _weights_file() -> bytes:
    """A weights file that describes a model and holds no tensors."""
    text = json.dumps({"__metadata__": {weights.METADATA_KEY: SPEC.model_dump_json()}}).encode()
    return len(text).to_bytes(8, "little") + text
