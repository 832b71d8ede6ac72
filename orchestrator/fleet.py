"""Workers: starting those that outlive a command, naming them, and when they count as gone."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core import processes
from core.errors import NotFoundError, SpritemillError, UsageError
from core.settings import Settings, as_environment

if TYPE_CHECKING:
    from core.ledger import Ledger
    from core.ledger.jobs import Job, OpenJob
    from core.ledger.shards import InHand
    from core.ledger.workers import Worker


def silent_after(settings: Settings) -> float:
    """Seconds without a heartbeat after which a worker counts as gone."""
    return 6 * settings.heartbeat_seconds


def larger(job: "Job", live: "Sequence[Worker]", short: int) -> str:
    """The worker that a job waits for, whose shards `short` bytes of memory were not enough for."""
    able = (worker.memory for worker in live if worker.numerics == job.numerics)
    if max(able, default=0) > short:
        return ""
    had = f"{short / 2**30:.1f} GiB"
    return f"a worker of its class with more memory than {had}: a shard ran out of that"


def missing(ledger: "Ledger", job: "Job | OpenJob", live: "Sequence[Worker]") -> str:
    """The worker of another class that a job waits for, if all that are there are of the wrong one.

    Of a job that is bound: one like those that began it. Else: one of this program's renderer.
    """
    from core.ledger import workers
    from orchestrator.crew import current

    if job.numerics is None:
        if not live or any(current(worker.numerics_facts) for worker in live):
            return ""
        return "a worker of this version: the renderers of all that are there draw otherwise"
    if any(worker.numerics == job.numerics for worker in live):
        return ""
    wanted = workers.facts(ledger, job.numerics)
    return (
        f"a worker of its class {job.numerics} ({_apart(wanted, live)}): start one as those"
        f" that began it, or make it anew: `spritemill cancel {job.id}`, and submit it again"
    )


def _apart(wanted: Mapping[str, Any], live: "Sequence[Worker]") -> str:
    """What tells a class from those that are there, as each fact that is not the same."""
    here = live[-1].numerics_facts if live else {}
    unlike = [name for name in wanted if wanted[name] != here.get(name)]
    return ", ".join(
        f"{name} {wanted[name]}" + (f", not {here[name]}" if name in here else "")
        for name in unlike or wanted
    )


@dataclass(frozen=True, slots=True)
class AtWork:
    """A worker with the shards that it renders, and the samples a second of all of them."""

    worker: "Worker"
    rendering: "Sequence[InHand]"
    rate: float | None


def roster(there: "Sequence[Worker]", taken: "Sequence[InHand]") -> list[AtWork]:
    """Workers beside the shards under way; of one that was just begun no rate is known."""
    held: dict[str, list[InHand]] = {worker.id: [] for worker in there}
    for each in taken:
        held.get(each.worker, []).append(each)
    return [AtWork(worker, held[worker.id], _rate(held[worker.id])) for worker in there]


def _rate(held: "Sequence[InHand]") -> float | None:
    return sum(each.progress / each.seconds for each in held if each.seconds) or None


def start(settings: Settings, count: int, gpus: Sequence[int]) -> list[dict[str, Any]]:
    """Start workers, each with its `id`, `pid` and `log`. Raises SpritemillError."""
    command = processes.python("workers.pool", "start", "--json", "--count", str(count))
    if gpus:
        command += ["--gpus", ",".join(str(gpu) for gpu in gpus)]
    asked = subprocess.run(
        command,
        env={**os.environ, **as_environment(settings)},
        check=False,
        capture_output=True,
        text=True,
    )
    if asked.returncode:
        raise SpritemillError(f"no worker was started: {asked.stderr.strip()}")
    started: list[dict[str, Any]] = json.loads(asked.stdout)
    return started


def named(there: Sequence["Worker"], names: Sequence[str]) -> list["Worker"]:
    """The workers with these unique prefixes of their ids. Raises NotFoundError, UsageError."""
    return [_by_prefix(there, name) for name in names]


def _by_prefix(there: Sequence["Worker"], name: str) -> "Worker":
    found = [worker for worker in there if worker.id.startswith(name)]
    if len(found) == 1 and name:
        return found[0]
    if found:
        raise UsageError(f"worker {name}: ambiguous.", remedy="Give more of the id.")
    raise NotFoundError(f"worker {name}: none is alive.", remedy="See: spritemill workers list")
