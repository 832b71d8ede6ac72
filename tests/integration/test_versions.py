"""Workers of two versions beside each other: they never mix in a job, and what waits is told."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select

from core.ledger import schema
from core.ledger.states import JobState
from core.request.plan import RENDERER_VERSION
from core.settings import Settings, as_environment
from orchestrator.mill import Mill
from orchestrator.service import Service
from tests.integration.yard import request, settings, until
from workers.numerics import name

OLD = {"torch": "2.12.0", "renderer": RENDERER_VERSION}
NEW = {"torch": "2.13.0", "renderer": RENDERER_VERSION}
SHARDS = 8


@contextmanager
def worker(at: Settings, facts: dict[str, Any]) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker of these facts; it is terminated in the end, if it has not ended."""
    command = [sys.executable, "-m", "tests.integration.workers.versioned"]
    environment = {**os.environ, **as_environment(at), "FACTS": json.dumps(facts)}
    with (at.home / "versioned.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def classes(service: Service) -> list[str]:
    return sorted(worker.numerics for worker in service.workers() if worker.state == "ready")


def makers(service: Service, job: str) -> set[str]:
    """The classes of the workers that made a job's shards."""
    shards, workers = schema.shards, schema.workers
    query = select(workers.c.numerics).join(shards, shards.c.worker == workers.c.id)
    with service.ledger.read() as connection:
        return set(connection.execute(query.where(shards.c.job == job)).scalars())


def ill(service: Service) -> str:
    return next(part.detail for part in service.doctor() if part.part == "workers" and not part.ok)


def test_job_is_made_by_one_class_and_waits_for_it_aloud_when_its_last_worker_leaves(
    tmp_path: Path,
) -> None:
    facts = {name(each): each for each in (OLD, NEW)}
    with Mill(settings(tmp_path, fake_rate=100.0, slots=1), workers=0) as mill:
        service = mill.service
        hands = {each: worker(mill.settings, facts[each]) for each in facts}
        with hands[name(OLD)] as old, hands[name(NEW)] as new:
            until(lambda: classes(service) == sorted(facts), "both are there")
            job = service.submit(request(SHARDS)).job.id
            until(lambda: service.status(job).job.shards_done >= 2, "it is under way")
            bound = service.status(job).job.numerics or ""
            assert not service.status(job).waits_for
            leaving = old if bound == name(OLD) else new
            leaving.terminate()
            assert leaving.wait(30) == 0
            waiting = service.status(job).waits_for
            assert waiting.startswith(
                f"a worker of its class {bound} (torch {facts[bound]['torch']}"
            )
            assert f"spritemill cancel {job}" in waiting
            assert waiting in ill(service)
            other = service.submit(request(2, seed=1)).job.id
            assert service.wait(other).job.state == JobState.SUCCEEDED, "others go on"
            assert service.status(job).job.shards_done < SHARDS
            with worker(mill.settings, facts[bound]):
                assert service.wait(job).job.state == JobState.SUCCEEDED
        assert makers(service, job) == {bound}
        assert makers(service, other) == set(facts) - {bound}
        assert service.datasets.verify(job).problems == ()
