"""Child processes that do not outlive us, and processes of others by pid and start time.

psutil is imported where a process is looked at: commands that look at none start sooner.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from core import home, processes

_PR_SET_PDEATHSIG = 1
# only Linux tells it to the tick
_SAME_START_SECONDS = 0.05 if sys.platform == "linux" else 2.0


def start(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start a child in a session of its own, its output appended to `log`.

    On Linux the kernel kills it when the thread that called this ends, however that comes.
    """
    home.make(log.parent)
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=env,
            start_new_session=True,
            preexec_fn=_dies_with_us(),  # makes two system calls, takes no lock
        )


def stop(process: "subprocess.Popen[bytes]", grace: float) -> bool:
    """Ask a child to end, kill it after `grace` seconds. Whether it ended by itself."""
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def alive(pid: int, started: float) -> bool:
    """Whether the process with this pid, started so many seconds after boot, still runs."""
    import psutil

    try:
        return (
            abs(processes.started(pid) - started) < _SAME_START_SECONDS
            and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False


def last_lines(log: Path, count: int = 5) -> str:
    """The end of a log, for an error message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join([line for line in lines if line.strip()][-count:])


def _dies_with_us() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)

    return before_exec
