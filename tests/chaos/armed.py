"""A worker or a mill with a fault: `python -m tests.chaos.armed worker|mill PLAN [NUMERICS]`.

Beyond what it arms, and the class of arithmetic if one is named, it is the ordinary program.
"""

import os
import signal
import sys
import time
from pathlib import Path

from core import faults
from core.faults import Point
from tests.chaos.plan import Fault

_skew = 0.0
_real_time = time.time


def _act(fault: Fault) -> None:
    match fault.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill worker":
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "stop worker":
            os.kill(os.getppid(), signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
        case "terminate":
            os.kill(os.getppid(), signal.SIGTERM)
        case "raise":
            raise ArithmeticError("a fault of the test")


def _arm(fault: Fault) -> None:
    def hear(point: Point, what: int | str) -> None:
        if fault.here(point, what):
            _act(fault)

    faults.arm(hear)


def _worker() -> int:
    from workers import __main__ as program

    return program.main([])


def _mill() -> int:
    from core.logs import configure
    from core.settings import load
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
