"""Train a model: `python -m workers.commands.train < options.json`; `spritemill train` calls it.

Prints events as JSON lines. SIGINT and SIGTERM end it after the step with everything saved, and so
does a reader that is gone.
"""

import json
import os
import signal
import sys
from threading import Event
from types import FrameType
from typing import Any

from core.errors import SpritemillError
from core.training.options import INTERRUPTED, Options, check


def main() -> int:
    """The exit code."""
    stop = Event()

    def told(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, told)
    signal.signal(signal.SIGTERM, told)

    def emit(event: dict[str, Any]) -> None:
        try:
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            stop.set()

    try:
        options = Options(**_tuples(json.load(sys.stdin)))
        check(options)
        from core.training.session import train

        train(options, emit, stop)
    except SpritemillError as error:
        told_of = {"kind": type(error).__name__, "message": error.message, "remedy": error.remedy}
        emit({"event": "error", **told_of})
        return error.exit_code
    return INTERRUPTED if stop.is_set() else 0


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "classes": tuple(values.get("classes", ()))}


if __name__ == "__main__":
    sys.exit(main())
