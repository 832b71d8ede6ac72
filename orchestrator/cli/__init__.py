"""The command line: `main` runs it and turns whatever happens into an exit code."""

import atexit
import gc
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from core.errors import EXIT_FAILED, RequestError, SpritemillError, UsageError
from core.request.surplus import Surplus, counted

EXIT_INTERRUPTED = 130
_FLAGS = ("--json", "--quiet", "-q")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code.

    0: good. 1: a job failed. 2: bad request or usage. 3: a part is unreachable. 130: interrupted.
    """
    gc.set_threshold(50_000)  # collecting among what imports create, and keep, costs 0.07 s
    atexit.register(gc.freeze)  # the interpreter's last collections would cost as much again
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # looking for any costs 0.02 s
    _open_streams()
    code = _run(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        _flush(stream)
    return code


def _run(arguments: Sequence[str]) -> int:
    as_json = "--json" in arguments
    try:
        first, rest = split(arguments)
        from orchestrator.cli.app import program

        run = program(rest[0] if rest else "")
        code = run(first + rest, prog_name="spritemill", standalone_mode=not as_json)
    except SystemExit as ended:  # how typer ends, well or not
        return ended.code if isinstance(ended.code, int) else EXIT_FAILED
    except SpritemillError as error:
        return _report(error, as_json)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the boundary: no traceback unless asked for
        return _report_other(error, as_json)
    return code if isinstance(code, int) else 0


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The global options, which may be given anywhere, and the rest, which a command begins.

    Raises UsageError.
    """
    first: list[str] = []
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        if word == "--":
            rest += [word, *queue]
            break
        if word in _FLAGS or word.startswith("--home="):
            first.append(word)
        elif word == "--home":
            if not queue or queue[0] in _FLAGS:
                raise UsageError("--home needs a folder.", remedy="Such as: --home DIR")
            first += [word, queue.pop(0)]
        else:
            rest.append(word)
    return first, rest


def _open_streams() -> None:
    """Open what the caller closed, as `>&-` does, onto nothing."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  # to the end


def _flush(stream: TextIO) -> None:
    """Write what is buffered; where the terminal or the pipe is gone, forget it."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _report(error: SpritemillError, as_json: bool) -> int:
    faults = error.faults if isinstance(error, RequestError) else ()
    if as_json:
        _write_json(error, error.message, error.remedy, [asdict(fault) for fault in faults])
    elif len(faults) > 1:
        count, least = counted(faults), "at least " * isinstance(faults[-1], Surplus)
        lines = [f"{least}{count} things are wrong:", *(f"  {fault}" for fault in faults)]
        _write("\n".join(map(_printable, lines)))
    else:
        _write(_printable(str(error), keep="" if faults else "\n"))
    _trace(error)
    return error.exit_code


def _report_other(error: Exception, as_json: bool) -> int:
    """Of the command line's own errors, those that it leaves to us: when machines are answered."""
    from typer import Abort, TyperException

    if isinstance(error, TyperException):
        message = error.format_message()
        if not message:  # a group without a command: its help was shown instead
            return error.exit_code
        return _report(UsageError(message, remedy="See --help."), as_json)
    if isinstance(error, Abort):
        return _report(SpritemillError("Aborted."), as_json)
    return _report_unexpected(error, as_json)


def _report_unexpected(error: Exception, as_json: bool) -> int:
    message = f"unexpected {type(error).__name__}: {error}"
    remedy = "Set SPRITEMILL_LOG_LEVEL=debug for the traceback."
    if as_json:
        _write_json(error, message, remedy, [])
    else:
        _write(_printable(f"{message}\n{remedy}", keep="\n"))
    _trace(error)
    return EXIT_FAILED


def _printable(text: str, keep: str = "") -> str:
    """The text with what a terminal would obey, or not show, escaped."""
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode()
        for each in text
    )


def _write(text: str) -> None:
    sys.stderr.write(f"spritemill: {text}\n")


def _write_json(error: Exception, message: str, remedy: str, faults: list[Any]) -> None:
    kind = type(error).__name__
    document = {"kind": kind, "message": message, "remedy": remedy, "faults": faults}
    sys.stdout.write(json.dumps({"error": document}) + "\n")


def _trace(error: Exception) -> None:
    """Print the traceback when the settings, if they can be read at all, ask for it."""
    from core.settings import load

    try:
        wanted = load().log_level == "debug"
    except Exception:  # noqa: BLE001  # it is told already what is wrong with them
        return
    if wanted:
        import traceback

        traceback.print_exception(error)
