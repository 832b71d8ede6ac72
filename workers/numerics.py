"""What decides this machine's pixels: `python -m workers.numerics` prints it.

The parent of a worker must not load torch, so it asks a process of its own.
"""

import hashlib
import json
import subprocess
import sys
from typing import Any

from core.errors import SpritemillError
from core.settings import Settings

_SECONDS = 300.0

Facts = dict[str, Any]


def probe(settings: Settings) -> Facts:
    """The facts of the numerics class of this machine. Raises SpritemillError."""
    if settings.renderer == "fake":
        return {"renderer": "fake"}
    asked = subprocess.run(
        [sys.executable, "-m", "workers.numerics"],
        check=False,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    if asked.returncode:
        last = asked.stderr.strip().rpartition("\n")[2]
        raise SpritemillError(
            f"torch cannot be used here: {last}",
            remedy="Install the worker: pip install 'spritemill[worker]'.",
        )
    facts: Facts = json.loads(asked.stdout)
    return facts


def name(facts: Facts) -> str:
    """12 hex digits that name a numerics class."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def main() -> None:
    from core.diffusion import device

    json.dump(device.facts(), sys.stdout)


if __name__ == "__main__":
    main()
