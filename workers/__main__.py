"""One worker: `python -P -m workers [--id ID] [--slots N]`.

Exit codes: 0 it was stopped or drained; 1 it failed; 2 a setting is wrong; 3 the ledger cannot be
reached; 75 it was stuck or disowned and ended itself: start it anew.
"""

import argparse
import os
import sys

from core import logs
from core import settings as configuration
from core.errors import SpritemillError


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        settings = configuration.load({"slots": options.slots})
        logs.configure(settings.log_level, sys.stderr)
        _prepare_environment(settings)
        from workers import service

        return service.run(options.id)
    except SpritemillError as error:
        print(f"spritemill worker: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def _prepare_environment(settings: configuration.Settings) -> None:
    """Flags hold for the children too, and each child gets its share of the cores."""
    os.environ.update(configuration.as_environment(settings))
    share = str(max(1, _cores() // settings.slots))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, share)


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -P -m workers", description="Run one worker.")
    parser.add_argument("--id", help="its name in the ledger; by default a new one")
    parser.add_argument("--slots", type=int, help="child processes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    code = main()
    os._exit(code)  # the pool's own exit handler would wait a second for children that are gone
