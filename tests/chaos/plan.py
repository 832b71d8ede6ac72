"""What is to go wrong, where, once: written for a process that is to be armed with it."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

from core.faults import Point

Action = Literal[
    "kill", "kill worker", "stop", "stop worker", "terminate", "raise", "clock", "signing clock",
    "hold",
]  # fmt: skip
"""What happens to the process that gets there first; `worker` is its parent and itself. Of one that
is held, other threads go on.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """An action at a point. `what` narrows it to a shard or a file; `amount` is of a clock's jump.

    The first process that gets there makes the file `mark`: so it happens once, however many
    processes are armed with it.
    """

    point: Point
    action: Action
    mark: Path
    what: int | str | None = None
    amount: float = 0.0

    @property
    def fired(self) -> float | None:
        """When it happened, in epoch seconds; None until it has."""
        told = self.mark.read_text().split() if self.mark.exists() else []
        return float(told[1]) if told else None

    @property
    def process(self) -> int:
        """The process that it happened to."""
        return int(self.mark.read_text().split()[0])

    @property
    def hit(self) -> str:
        """What was at the point: a shard's number, a file's name or a job."""
        return self.mark.read_text().split()[2]

    def release(self) -> None:
        """Let the process that is held there go on."""
        self._released.touch()

    @property
    def released(self) -> bool:
        return self._released.exists()

    @property
    def _released(self) -> Path:
        return self.mark.with_suffix(".released")

    def here(self, point: Point, what: int | str) -> bool:
        """Whether it is to happen now, to this process."""
        if point != self.point or self.what not in (None, what):
            return False
        try:
            file = os.open(self.mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return False
        os.write(file, f"{os.getpid()} {time.time()} {what}".encode())
        os.close(file)
        return True

    @classmethod
    def read(cls, path: Path) -> Self:
        told = json.loads(path.read_text())
        return cls(**{**told, "point": Point(told["point"]), "mark": Path(told["mark"])})

    def write(self, path: Path) -> Path:
        path.write_text(json.dumps({**asdict(self), "mark": str(self.mark)}))
        return path
