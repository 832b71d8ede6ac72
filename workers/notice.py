"""The notice to stop, from a worker's parent process to the children that render."""

import math
import mmap
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

_TIME = struct.Struct("d")


class Notice:
    """A deadline in memory that is shared with every child forked after it was made."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _TIME.size)
        self._write(math.inf)
        self._given = mmap.mmap(-1, 1)

    def give(self, grace: float) -> None:
        """Ask to stop claiming, and to end or hand back within `grace` seconds (inf: to end)."""
        self._write(min(self.deadline, time.monotonic() + grace))
        self._given[0] = 1

    @property
    def given(self) -> bool:
        return self._given[0] == 1

    @property
    def deadline(self) -> float:
        """On the monotonic clock, which all processes of a machine share."""
        return float(_TIME.unpack_from(self._memory)[0])

    @contextmanager
    def heeding_sigterm(self, grace: float) -> Iterator[None]:
        """Within, SIGTERM gives notice: whoever stops a whole group stops the children too."""
        before = signal.signal(signal.SIGTERM, lambda *_: self.give(grace))
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _write(self, deadline: float) -> None:
        _TIME.pack_into(self._memory, 0, deadline)
