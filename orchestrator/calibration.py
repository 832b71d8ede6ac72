"""What a request will take, from a tile or two that are rendered first."""

import json
import os
import subprocess
from dataclasses import dataclass

from core import processes
from core.errors import SpritemillError
from core.request.estimate import Estimate, estimate
from core.request.load import canonical
from core.request.plan import Plan
from core.settings import Settings, as_environment

_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`rate` is samples a second of one worker of this machine with all its slots."""

    estimate: Estimate
    rate: float
    load_seconds: float
    workers: int


def calibrate(plan: Plan, weights: str, settings: Settings, workers: int) -> Calibrated:
    """Measure in a process of its own, as torch must not be loaded here. Raises SpritemillError."""
    try:
        asked = subprocess.run(
            processes.python("workers.commands.calibrate", weights),
            input=canonical(plan.request),
            env={**os.environ, **as_environment(settings)},
            check=False,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise SpritemillError(
            f"two tiles of this request take more than {_SECONDS:.0f} seconds here.",
            remedy="Ask for fewer steps, or plan it where a GPU is.",
        ) from error
    if asked.returncode:
        last = asked.stderr.strip().rpartition("\n")[2]
        raise SpritemillError(f"the calibration failed: {last}", remedy="See `spritemill doctor`.")
    measured = json.loads(asked.stdout)
    rate = measured["samples_per_second"]
    return Calibrated(
        estimate(plan, rate=rate, png_bytes=measured["png_bytes"], workers=workers),
        rate,
        measured["load_seconds"],
        workers,
    )
