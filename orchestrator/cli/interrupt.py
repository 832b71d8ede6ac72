"""Being told to stop: Ctrl-C, a supervisor's SIGTERM, a closed terminal."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import join
from threading import Event
from types import FrameType
from typing import Any

import typer

from orchestrator.cli import EXIT_INTERRUPTED
from orchestrator.cli.console import Console

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[Event]:
    """A flag that the first signal sets, for an orderly end; a second one ends at once."""
    stop = Event()
    before = heeded()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def told(_number: int, _frame: FrameType | None) -> None:
        restore()
        stop.set()

    for number in before:
        signal.signal(number, told)
    try:
        yield stop
    finally:
        restore()


def heeded() -> dict[signal.Signals, Any]:
    """The signals to stop, with what they do now; not a closed terminal's under `nohup`."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    if handlers[signal.SIGHUP] is signal.SIG_IGN:
        del handlers[signal.SIGHUP]
    return handlers


def interrupted(console: Console, message: str) -> typer.Exit:
    """Say what was interrupted; to be raised."""
    try:
        console.remark(message)
    except OSError:  # the terminal is gone
        console = Console(quiet=True)
    return typer.Exit(EXIT_INTERRUPTED)


def same_command(latest: str = "latest") -> str:
    """The command line that was typed, to go on with: `--again` would begin anew, and `latest` may
    be another job by then.
    """
    typed = (latest if word == "latest" else word for word in sys.argv[1:])
    return join(["spritemill", *(word for word in typed if word != "--again")])
