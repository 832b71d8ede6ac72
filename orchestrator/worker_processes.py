"""The worker processes of an embedded mill: as many as wanted, and new ones for those that die."""

import os
import subprocess
import time
from pathlib import Path

import structlog

from core import processes
from core.errors import SpritemillError
from core.settings import Settings, as_environment
from orchestrator import child

_STOP_MARGIN = 10.0
_CHECK_SECONDS = 0.2
_HEALTHY_SECONDS = 60.0
_MOST_DEATHS = 3

log = structlog.get_logger(__name__)


class WorkerProcesses:
    """`step` belongs to one thread, which must outlive the workers: they die with it."""

    def __init__(self, settings: Settings, wanted: int) -> None:
        self.wanted = wanted
        self._settings = settings
        self._environment = {**os.environ, **as_environment(settings)}
        self._running: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._leaving: list[tuple[subprocess.Popen[bytes], float]] = []
        self._deaths = 0
        self._not_before = 0.0
        self._fault = ""

    def step(self) -> float:
        """Bring what runs to what is wanted. Gives the seconds until it should be looked at."""
        self._reap()
        for number in sorted(self._running, reverse=True)[: max(0, self._surplus())]:
            process, _ = self._running.pop(number)
            process.terminate()
            self._leaving.append((process, time.monotonic() + self._patience()))
        if time.monotonic() >= self._not_before:
            while self._surplus() < 0:
                self._start()
        return _CHECK_SECONDS

    def alarm(self) -> None:
        """Raises SpritemillError when workers do not stay alive, so that nothing will be made."""
        if self._fault:
            raise SpritemillError(self._fault, remedy="`spritemill doctor` examines each part.")

    @property
    def over(self) -> bool:
        """Whether no worker runs any more."""
        return not (self._running or self._leaving)

    def _surplus(self) -> int:
        return len(self._running) - self.wanted

    def _patience(self) -> float:
        return self._settings.grace_seconds + _STOP_MARGIN

    def _start(self) -> None:
        number = next(n for n in range(len(self._running) + 1) if n not in self._running)
        process = child.start(processes.python("workers"), self._log(number), self._environment)
        self._running[number] = (process, time.monotonic())

    def _reap(self) -> None:
        for number, (process, started) in list(self._running.items()):
            if process.poll() is not None:
                del self._running[number]
                self._note_end(number, process.returncode, time.monotonic() - started)
        for process, deadline in list(self._leaving):
            if process.poll() is not None:
                self._leaving.remove((process, deadline))
            elif time.monotonic() > deadline:
                process.kill()

    def _note_end(self, number: int, code: int, lived: float) -> None:
        """A worker that was ordered to leave makes room; one that died is replaced, in time."""
        log.info("worker.ended", number=number, code=code, seconds=round(lived, 1))
        if code == 0:
            self.wanted = max(0, self.wanted - 1)
            return
        self._deaths = self._deaths + 1 if lived < _HEALTHY_SECONDS else 1
        self._not_before = time.monotonic() + min(10.0, 0.5 * 2 ** (self._deaths - 1))
        if self._deaths >= _MOST_DEATHS and not self._running:
            last = child.last_lines(self._log(number))
            self._fault = f"worker processes die as soon as they start (exit code {code}): {last}"

    def _log(self, number: int) -> Path:
        return self._settings.logs / f"worker-{number + 1}.log"
