"""A fake worker of another version: `python -m tests.integration.workers.versioned`.

FACTS in the environment is JSON: the facts of the numerics class that it claims to be of. Its
renderer plans as that version does.
"""

import functools
import json
import os
from typing import Any

from core.request import plan
from core.settings import Settings
from workers import __main__ as program
from workers import memory, numerics, slot

_FACTS: dict[str, Any] = json.loads(os.environ["FACTS"])


def _probe(settings: Settings) -> tuple[dict[str, Any], int]:
    return _FACTS, memory.of_machine()


if __name__ == "__main__":
    numerics.probe = _probe
    slot.digest = functools.partial(plan.digest, renderer=_FACTS["renderer"])  # type: ignore[attr-defined]
    os._exit(program.main())
