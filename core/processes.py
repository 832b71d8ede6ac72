"""How a program of ours is started, and when a process was: that and its pid name it.

psutil is imported where a process is looked at: commands that look at none start sooner.
"""

import sys


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours, whatever the current folder holds.

    Without `-P`, Python would look there first: in a project with a `core` or a `queue.py` of its
    own, that would be run.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def started(pid: int | None = None) -> float:
    """When a process, this one by default, started: in seconds after the machine did.

    The time of day at which it did changes whenever the clock is set. Raises psutil.NoSuchProcess.
    """
    import psutil

    return psutil.Process(pid).create_time() - psutil.boot_time()
