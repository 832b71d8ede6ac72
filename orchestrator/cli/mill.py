"""Commands that keep an embedded mill running: up, down."""

import os
import subprocess
import time
from typing import TYPE_CHECKING, Annotated

import typer

from core import home, processes
from core.errors import SpritemillError, UnreachableError, UsageError
from orchestrator.cli import units
from orchestrator.cli.interrupt import interruptible
from orchestrator.cli.request import Workers
from orchestrator.cli.session import Session, session

if TYPE_CHECKING:
    from core.settings import Settings

_READY_SECONDS = 30.0
_POLL_SECONDS = 0.1


def up(
    context: typer.Context,
    workers: Workers = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Go on in the background.")
    ] = False,
) -> None:
    """Keep a mill running that makes whatever is submitted, until `down` or Ctrl-C.

    $ spritemill up --workers 2 --detach
    """
    call = session(context)
    settings = call.settings(workers=workers)
    if detach:
        _detach(call, settings)
        return
    from core.logs import configure
    from orchestrator.mill import Mill

    configure(settings.log_level, settings.logs / "mill.log")
    with interruptible() as stop, Mill(settings, workers=settings.workers):
        call.console.remark(_is_up(settings))
        stop.wait()
    call.console.remark("The mill is down.")


def down(context: typer.Context) -> None:
    """Stop the mill that `up` keeps; unfinished jobs go on at the next `up` or `run`.

    $ spritemill down
    """
    from orchestrator import mill_file

    call = session(context)
    settings = call.settings()
    stopped = mill_file.stop(settings.home, settings.grace_seconds)
    line = "The mill is down." if stopped else f"No mill is up in {settings.home}."
    call.console.answer({"home": settings.home, "pid": stopped.pid if stopped else None}, line)


def _detach(call: Session, settings: "Settings") -> None:
    """Start the same command as a process of its own, and wait until it is up."""
    from core.settings import as_environment
    from orchestrator import mill_file
    from orchestrator.child import last_lines
    from orchestrator.mill import reach

    reach(settings)
    log = settings.logs / "up.log"
    home.make(log.parent)
    with log.open("wb") as out:
        process = subprocess.Popen(
            processes.python("orchestrator.cli", "up"),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **as_environment(settings)},
            start_new_session=True,
        )
    deadline = time.monotonic() + _READY_SECONDS
    while not ((found := mill_file.find(settings.home)) and found.pid == process.pid):
        if process.poll() is not None:
            raise _failed(process.returncode)(last_lines(log).removeprefix("spritemill: "))
        if time.monotonic() > deadline:
            process.terminate()
            raise SpritemillError(f"the mill is not up yet after {_READY_SECONDS:.0f} s, see {log}")
        time.sleep(_POLL_SECONDS)
    call.console.answer({"home": settings.home, "pid": process.pid}, _is_up(settings))


def _failed(code: int) -> type[SpritemillError]:
    """The kind of error that a process ended with."""
    kinds = {kind.exit_code: kind for kind in (SpritemillError, UsageError, UnreachableError)}
    return kinds.get(code, SpritemillError)


def _is_up(settings: "Settings") -> str:
    workers = units.count(settings.workers, "worker")
    verb = "is" if settings.workers == 1 else "are"
    return (
        f"The mill in {settings.home} is up, {workers} {verb} starting. `spritemill down` stops it."
    )
