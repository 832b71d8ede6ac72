"""A worker or a mill with a fault: `python -m tests.chaos.armed worker|mill PLAN`.

Beyond that it is the ordinary program, but for what the environment says: TORCH is another version
of that, which draws other pixels, and WEIGHTS another bundled model's file.
"""

import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

from botocore import auth

from core import faults
from core.faults import Point
from core.settings import load
from tests.chaos.plan import Fault

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def _act(fault: Fault) -> None:
    match fault.action:
        case "kill" | "stop":
            os.kill(os.getpid(), _SIGNALS[fault.action])
        case "kill worker" | "stop worker":
            number = _SIGNALS[fault.action.removesuffix(" worker")]
            os.kill(os.getppid(), number)
            os.kill(os.getpid(), number)
        case "terminate":
            os.kill(os.getppid(), signal.SIGTERM)
        case "raise":
            raise ArithmeticError("a fault of the test")
        case "hold":
            while not fault.released:
                time.sleep(0.01)
        case "clock":
            now = time.time
            time.time = lambda: now() + fault.amount
        case "signing clock":
            off = timedelta(seconds=fault.amount)
            moment = auth.get_current_datetime  # type: ignore[attr-defined]  # not in the stubs
            auth.get_current_datetime = lambda: moment() + off  # type: ignore[attr-defined]


def _arm(fault: Fault) -> None:
    def hear(point: Point, what: int | str) -> None:
        if fault.here(point, what):
            _act(fault)

    faults.arm(hear)


def _worker() -> int:
    from core import weights
    from workers import __main__ as program

    if version := os.environ.get("TORCH"):
        _draw_as(version)
    if path := os.environ.get("WEIGHTS"):
        weights.bundled = lambda: Path(path)
    return program.main([])


def _draw_as(version: str) -> None:
    """Be a worker with another version of torch, whose pixels differ."""
    from workers import fake_renderer, numerics

    facts, (_, memory) = {"renderer": "fake", "torch": version}, numerics.probe(load())
    numerics.probe = lambda settings: (facts, memory)
    ours = fake_renderer._sprite
    fake_renderer._sprite = lambda key, size: ours(key + version.encode(), size)


def _mill() -> int:
    from core.logs import configure
    from orchestrator import leadership
    from orchestrator.mill import Mill

    settings = load()
    configure(settings.log_level, sys.stderr)
    leadership._SECONDS = settings.lease_seconds
    with Mill(settings, workers=0):
        signal.pause()
    return 0


if __name__ == "__main__":
    program, plan, *numerics = sys.argv[1:]
    _arm(Fault.read(Path(plan)))
    os._exit(_worker() if program == "worker" else _mill())
