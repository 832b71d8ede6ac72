"""Background duties: small loops, all started and stopped alike, awake early on stop or poke."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

_LONGEST_BACKOFF = 5.0


class Duty:
    """Calls `step` for ever in a thread of its own; `step` gives the seconds until it is due again.

    Whatever `step` raises is logged and counted, and tried again with growing pauses. Of failures
    in a row only the first has its traceback there: a server may be away for days.
    """

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self.name = name
        self.failures = 0
        self._step = step
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=f"duty-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def poke(self) -> None:
        """Have the step done now rather than when it is due."""
        self._awake.set()

    def stop(self) -> None:
        """End after the step that is being done, and wait for that."""
        self._stopping.set()
        self._awake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _loop(self) -> None:
        in_a_row = 0
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                pause, in_a_row = self._step(), 0
            except Exception as error:  # the loop must survive whatever it is
                self.failures += 1
                in_a_row += 1
                pause = min(_LONGEST_BACKOFF, 0.1 * 2**in_a_row)
                log.exception(
                    "duty.failed",
                    duty=self.name,
                    in_a_row=in_a_row,
                    error=f"{type(error).__name__}: {error}",
                    exc_info=in_a_row == 1,
                )
            if not self._stopping.is_set():
                self._awake.wait(pause)
