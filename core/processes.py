"""When a process started: that and its pid name it.

psutil is imported where a process is looked at: commands that look at none start sooner.
"""


def started(pid: int | None = None) -> float:
    """When a process, this one by default, started: in seconds after the machine did.

    The time of day at which it did changes whenever the clock is set. Raises psutil.NoSuchProcess.
    """
    import psutil

    return psutil.Process(pid).create_time() - psutil.boot_time()
