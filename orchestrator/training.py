"""Training, in a process of its own, as torch must not be loaded here."""

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from tempfile import TemporaryFile
from typing import IO, Any, cast

from core import processes
from core.errors import RequestError, SpritemillError, UsageError
from core.training.options import INTERRUPTED, Options, check

_SHOWN_LINES = 5
Event = dict[str, Any]


class Training:
    """A training that has begun. Raises RequestError, UsageError before it does."""

    def __init__(self, options: Options) -> None:
        check(options)
        if find_spec("torch") is None:
            raise UsageError(
                "torch is not installed, and training needs it.",
                remedy="pip install 'spritemill[worker]'",
            )
        self._log = TemporaryFile("w+b")  # noqa: SIM115  # closed with the last event
        self._asked = 0
        self._process = subprocess.Popen(
            processes.python("workers.commands.train"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,  # a terminal's Ctrl-C comes to us; we tell it once
        )
        with cast(IO[str], self._process.stdin) as stdin:
            json.dump(asdict(options), stdin)

    def stop(self) -> None:
        """Let it save and end; asked again, end it at once. To be called by a signal's handler."""
        self._asked += 1
        self._process.send_signal(signal.SIGINT if self._asked == 1 else signal.SIGKILL)

    def events(self) -> Iterator[Event]:
        """What it tells, to its end. Raises the error that it ended with, if any."""
        with self._log, cast(IO[str], self._process.stdout) as lines:
            for line in lines:
                event: Event = json.loads(line)
                if event["event"] == "error":
                    self._process.wait()
                    raise _error(event)
                yield event
            code = self._process.wait()
            # the second: it had not begun to listen yet
            as_asked = self._asked > 1 or (self._asked and code in (INTERRUPTED, -signal.SIGINT))
            if code and not as_asked:
                raise self._unexpected()

    def _unexpected(self) -> SpritemillError:
        self._log.seek(0)
        last = self._log.read().decode(errors="replace").strip().splitlines()[-_SHOWN_LINES:]
        return SpritemillError(
            f"the training ended with code {self._process.returncode}:\n" + "\n".join(last),
            remedy="What it had kept before is there: go on with --resume.",
        )


def _error(event: Event) -> SpritemillError:
    kinds = {kind.__name__: kind for kind in _kinds(SpritemillError)}
    kind = kinds.get(event["kind"], SpritemillError)
    return kind(event["message"], remedy=event["remedy"])


def _kinds(kind: type[SpritemillError]) -> Iterator[type[SpritemillError]]:
    yield kind
    for narrower in kind.__subclasses__():
        if narrower is not RequestError:  # it holds faults; those were told before it began
            yield from _kinds(narrower)
