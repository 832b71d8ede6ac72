"""What decides this machine's pixels, and its memory: `python -m workers.numerics` prints both.

The parent of a worker must not load torch, so it asks a process of its own.
"""

import hashlib
import json
import subprocess
import sys
from typing import Any

from core import processes
from core.errors import SpritemillError
from core.settings import Settings
from workers.memory import of_machine

_SECONDS = 300.0

Facts = dict[str, Any]


def probe(settings: Settings) -> tuple[Facts, int]:
    """The facts of this machine's numerics class, and the bytes of memory that its device has.

    Raises SpritemillError.
    """
    if settings.renderer == "fake":
        return {"renderer": "fake"}, of_machine()
    try:
        asked = subprocess.run(
            processes.python("workers.numerics"),
            check=False,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise SpritemillError(
            f"torch does not tell within {_SECONDS:.0f} seconds what it runs on.",
            remedy="Does the GPU's driver answer? Try nvidia-smi.",
        ) from error
    if asked.returncode:
        last = asked.stderr.strip().rpartition("\n")[2]
        raise SpritemillError(
            f"torch cannot be used here: {last}",
            remedy="Install the worker: pip install 'spritemill[worker]'.",
        )
    found = json.loads(asked.stdout)
    return found["facts"], found["memory"]


def name(facts: Facts) -> str:
    """12 hex digits that name a numerics class."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def main() -> None:
    from core.diffusion import device

    memory = device.memory(device.pick_device()) or of_machine()
    json.dump({"facts": device.facts(), "memory": memory}, sys.stdout)


if __name__ == "__main__":
    main()
