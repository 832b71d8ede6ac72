"""What decides this machine's pixels, and its memory: `python -m workers.numerics` prints both.

The parent of a worker must not load torch, so it asks a process of its own.
"""

import hashlib
import json
import sys
from typing import Any

from core import settings as configuration
from core import torch_probe
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
    found = torch_probe.ask(_SECONDS)
    return found["facts"], found["memory"]


def name(facts: Facts) -> str:
    """12 hex digits that name a numerics class."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def main() -> None:
    from core.diffusion import device
    from workers import kernels

    try:
        chosen = kernels.chosen(configuration.load(), device.pick_device(), only_ask=True)
        facts = device.facts(compiled=chosen is not None)
    except SpritemillError as error:
        sys.exit(str(error))
    memory = device.memory(device.pick_device()) or of_machine()
    json.dump({"facts": facts, "memory": memory}, sys.stdout)


if __name__ == "__main__":
    main()
