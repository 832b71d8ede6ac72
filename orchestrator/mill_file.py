"""The note that a mill keeps in its folder, so that other commands find it: `mill.json`."""

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import SpritemillError
from orchestrator import child

_NAME = "mill.json"
_STOP_MARGIN = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """A mill: its process, started so many seconds after the machine, and its broker."""

    pid: int
    started: float
    broker_url: str


def write(home: Path, running: Running) -> None:
    path = home / _NAME
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(asdict(running)), encoding="utf-8")
    fresh.replace(path)


def read(home: Path) -> Running | None:
    """What the last mill of the folder noted, whether or not it still lives."""
    try:
        return Running(**json.loads((home / _NAME).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SpritemillError(
            f"{home / _NAME} cannot be read: {error}.", remedy="Remove the file."
        ) from error


def find(home: Path) -> Running | None:
    """The mill that runs on the folder."""
    noted = read(home)
    return noted if noted and child.alive(noted.pid, noted.started) else None


def remove(home: Path) -> None:
    (home / _NAME).unlink(missing_ok=True)


def stop(home: Path, grace: float) -> Running | None:
    """Ask the mill of the folder to stop, and wait. None when there is none."""
    found = find(home)
    if found is None:
        return None
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace + _STOP_MARGIN
    while child.alive(found.pid, found.started):
        if time.monotonic() > deadline:
            raise SpritemillError(
                f"the mill with pid {found.pid} does not stop.",
                remedy=f"End it with: kill -KILL {found.pid}. No work is lost.",
            )
        time.sleep(0.05)
    return found
