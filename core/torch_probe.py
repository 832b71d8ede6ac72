"""What torch finds on this machine, asked of a process of its own: it is too heavy to load here."""

import json
import subprocess
from typing import Any

from core import processes
from core.errors import SpritemillError


def ask(seconds: float) -> dict[str, Any]:
    """The `facts` of this machine's numerics class, and the bytes of `memory` that its device has.

    Raises SpritemillError, also when there is no answer within so many seconds.
    """
    try:
        asked = subprocess.run(
            processes.python("workers.numerics"),
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise SpritemillError(
            f"torch does not tell within {seconds:.0f} seconds what it runs on.",
            remedy="Does the GPU's driver answer? Try nvidia-smi.",
        ) from error
    if asked.returncode:
        last = asked.stderr.strip().rpartition("\n")[2]
        missing = last.startswith(("ModuleNotFoundError", "ImportError"))
        remedy = "Install the worker: pip install 'spritemill[worker]'." if missing else ""
        raise SpritemillError(f"torch cannot be used here: {last}", remedy=remedy)
    found: dict[str, Any] = json.loads(asked.stdout)
    return found
