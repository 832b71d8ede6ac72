"""Starting workers that outlive this command: `python -m workers.pool start --count N`.

They are drained and stopped by orders in the ledger, so nothing here keeps track of them.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from core import processes
from core import settings as configuration
from core.errors import SpritemillError
from core.settings import Settings
from workers.identity import new_id


@dataclass(frozen=True, slots=True)
class Started:
    """A worker process that was started; whether it lives, the ledger tells."""

    id: str
    pid: int
    log: str


def start(settings: Settings, count: int, gpus: Sequence[str] = ()) -> list[Started]:
    """Start workers in sessions of their own; with `gpus`, each is shown one, in turn."""
    settings.logs.mkdir(parents=True, exist_ok=True)
    return [_start(settings, gpus[n % len(gpus)] if gpus else None) for n in range(count)]


def _start(settings: Settings, gpu: str | None) -> Started:
    worker = new_id()
    path = settings.logs / f"worker-{worker}.log"
    environment = os.environ | configuration.as_environment(settings)
    if gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = gpu
    with path.open("ab") as log:
        process = subprocess.Popen(
            processes.python("workers", "--id", worker),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Started(worker, process.pid, str(path))


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        started = start(configuration.load(), options.count, options.gpus)
    except SpritemillError as error:
        print(f"spritemill workers: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    if options.json:
        json.dump([asdict(worker) for worker in started], sys.stdout)
    else:
        for worker in started:
            sys.stdout.write(f"{worker.id}  pid {worker.pid}  {worker.log}\n")
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers.pool")
    commands = parser.add_subparsers(required=True, metavar="command")
    starting = commands.add_parser("start", help="start detached workers")
    starting.add_argument("--count", type=int, default=1, help="how many")
    starting.add_argument("--gpus", type=_listed, default=(), help="such as 0,1: one a worker")
    starting.add_argument("--json", action="store_true", help="tell machines what was started")
    return parser.parse_args(arguments)


def _listed(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    sys.exit(main())
