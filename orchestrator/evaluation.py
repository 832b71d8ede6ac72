"""Evaluating a model or a dataset, in a process of its own, as torch must not be loaded here."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from itertools import product
from tempfile import TemporaryFile
from typing import IO, Any, cast

from core import processes
from core.errors import (
    EXIT_BAD_REQUEST,
    EXIT_UNREACHABLE,
    SpritemillError,
    UnreachableError,
    UsageError,
)
from core.evaluation.options import Options
from core.request.load import check
from core.settings import Settings, as_environment

_KINDS = {EXIT_BAD_REQUEST: UsageError, EXIT_UNREACHABLE: UnreachableError}
OnProgress = Callable[[str, int, int], None]
"""Hears what is going on, how much of it is done, and of how much."""


def evaluate(options: Options, settings: Settings, on_progress: OnProgress) -> list[str]:
    """Write an evaluation; its files. Raises RequestError, UsageError, SpritemillError."""
    _check(options)
    if find_spec("torch") is None:
        raise UsageError(
            "torch is not installed, and evaluating needs it.",
            remedy="pip install 'spritemill[worker]'",
        )
    with TemporaryFile("w+b") as log:
        process = subprocess.Popen(
            processes.python("workers.commands.evaluate"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **as_environment(settings)},
        )
        with process:
            with cast(IO[str], process.stdin) as stdin:
                json.dump(asdict(options), stdin)
            for line in cast(IO[str], process.stdout):
                event: dict[str, Any] = json.loads(line)
                if event["event"] == "progress":
                    on_progress(event["state"], event["done"], event["total"])
                elif event["event"] == "done":
                    return list(event["files"])
                else:
                    raise _error(event)
        raise _unexpected(process.returncode, log)


def _check(options: Options) -> None:
    """Raises RequestError for sampling that there is not."""
    for sampler, steps in product(options.samplers or (None,), options.steps or (None,)):
        check(
            {
                "samples": 1,
                "contexts": [{"unconditional": True}],
                "sampling": {"sampler": sampler, "steps": steps},
            }
        )


def _error(event: dict[str, Any]) -> SpritemillError:
    kind = _KINDS.get(event["code"], SpritemillError)
    return kind(event["message"], remedy=event["remedy"])


def _unexpected(code: int, log: IO[bytes]) -> SpritemillError:
    log.seek(0)
    last = log.read().decode(errors="replace").strip().rpartition("\n")[2]
    return SpritemillError(f"the evaluation ended with code {code}: {last}")
