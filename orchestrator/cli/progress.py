"""Live progress on stderr: a bar in a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

from orchestrator.cli import units
from orchestrator.cli.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LINE_SECONDS = 5.0


def sprites(done: int, total: int) -> str:
    return f"{done:,} of {units.count(total, 'sprite')}"


def data(done: int, total: int) -> str:
    return f"{units.size(done)} of {units.size(total)}"


class Progress:
    """Shows how far something is; `amount` words what is done of how much. A context manager.

    A terminal that was closed does not stop the work: from then on nothing is shown.
    """

    def __init__(
        self, console: Console, title: str, amount: Callable[[int, int], str] = sprites
    ) -> None:
        self._title, self._amount = title, amount
        self._silent = console.json or console.quiet
        self._bar: Bar | None = None
        self._line = ""
        self._said = ""
        self._said_at = -LINE_SECONDS

    def __enter__(self) -> Self:
        if not self._silent and sys.stderr.isatty():
            self._bar = _bar()
            self._bar.add_task(self._title, total=None, state="", numbers="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            if self._bar is not None:
                self._bar.stop()
            elif self._line:
                self._say(self._line)

    def update(
        self,
        done: int,
        total: int,
        *,
        state: str = "",
        rate: float | None = None,
        eta: float | None = None,
    ) -> None:
        """Show what is done, what is going on, its rate a second and the seconds left."""
        if self._silent:
            return
        speed = units.rate(rate) if rate else ""
        left = f"{units.duration(eta)} left" if eta is not None else ""
        numbers = ", ".join(filter(None, (self._amount(done, total), speed, left)))
        try:
            if self._bar is not None:
                task = self._bar.task_ids[0]
                self._bar.update(task, completed=done, total=total, state=state, numbers=numbers)
            else:
                self._line = ": ".join(filter(None, (self._title, state, numbers)))
                if time.monotonic() - self._said_at >= LINE_SECONDS:
                    self._say(self._line)
        except OSError:
            self._silent = True

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said_at, self._said = time.monotonic(), line
            typer.echo(line, err=True)


def _bar() -> "Bar":
    from rich.console import Console as Screen
    from rich.progress import BarColumn, Progress, TextColumn

    shown = ("description", "fields[state]", "fields[numbers]")
    title, state, numbers = (TextColumn(f"{{task.{name}}}", markup=False) for name in shown)
    screen = Screen(stderr=True)
    return Progress(title, state, BarColumn(), numbers, console=screen, transient=True)
