"""A server process in the foreground, which the kernel ends when we die without stopping it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

INSTALL = "Install it with: deploy/install-test-servers.sh"


class ServerError(Exception):
    """A server that did not start, with the end of its log."""


class MissingServerError(ServerError):
    """A server's program is not installed."""


def program(name: str, *folders: Path) -> str:
    """The full path of a program. Raises MissingServerError."""
    places = [*map(str, folders), os.environ.get("PATH", os.defpath), "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise MissingServerError(f"{name} is not installed. {INSTALL}")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """Starts, stops and starts again one program; its output goes to a log file.

    `orphaned` is the signal that it gets when we die. The kernel watches the thread that called
    `start`, so call it from one that lasts, such as the main thread.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphaned: str = "KILL",
    ) -> None:
        as_user = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        setpriv = program("setpriv")
        self._command = [setpriv, "--pdeathsig", orphaned, *as_user, "--", *command]
        self._environment = environment
        self._log = log
        self._stop_signal = stop_signal
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._running is None:
            raise ServerError(f"{self._command[-1]} is not running")
        return self._running.pid

    def start(self, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Start it and wait until `ready` says so. Raises ServerError with the end of the log."""
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        try:
            self._wait(ready, seconds)
        except BaseException:
            self.stop()
            raise

    def stop(self, seconds: float = 10.0) -> None:
        """Ask it to end, and kill it when it does not. Stopped already is fine."""
        running, self._running = self._running, None
        if running is None:
            return
        running.send_signal(self._stop_signal)
        try:
            running.wait(seconds)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()

    def _wait(self, ready: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if self._running is None or self._running.poll() is not None:
                raise ServerError(f"it ended at once: {self._last_words()}")
            if time.monotonic() > deadline:
                raise ServerError(f"not ready after {seconds:g} s: {self._last_words()}")
            time.sleep(0.05)

    def _last_words(self) -> str:
        said = self._log.read_text(errors="replace").strip().splitlines()[-15:]
        return "\n".join([" ".join(self._command), *said])


def accepts(port: int) -> bool:
    """Whether something listens on this loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
