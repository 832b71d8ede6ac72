"""Rendering sprites of a finished dataset again, in a process of its own, for torch's sake."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core import processes
from core.errors import SpritemillError
from core.settings import Settings, as_environment

if TYPE_CHECKING:
    from core.dataset.manifest import Manifest

_GRACE_SECONDS = 10.0


class Regeneration:
    """A process that renders; see `workers.commands.regenerate` for what is said."""

    def __init__(self, process: "subprocess.Popen[bytes]", errors: IO[bytes], size: int) -> None:
        self._process = process
        self._errors = errors
        self._size = size
        self.numerics: Mapping[str, Any] = {}

    def begin(self, text: str) -> None:
        self.numerics = self._ask(text)[0]["numerics"]

    def sprites(self, wanted: Sequence[tuple[int, str]]) -> NDArray[np.uint8]:
        _, data = self._ask({"sprites": list(wanted)})
        shape = (len(wanted), self._size, self._size, 4)
        return np.frombuffer(data, dtype=np.uint8).reshape(shape)

    def shard(self, first: int, count: int) -> bytes:
        return self._ask({"shard": [first, count]})[1]

    def _ask(self, question: Any) -> tuple[dict[str, Any], bytes]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        told = json.loads(line)
        return told, self._process.stdout.read(told["bytes"])

    def _ended(self) -> SpritemillError:
        self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        return SpritemillError(
            f"sprites cannot be rendered again here: {last}", remedy="See `spritemill doctor`."
        )


@contextmanager
def regeneration(settings: Settings, text: str, manifest: "Manifest") -> Iterator[Regeneration]:
    """Renders sprites of a dataset as long as this lasts. Raises SpritemillError."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            processes.python("workers.commands.regenerate", manifest.weights),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **as_environment(settings)},
        )
        try:
            found = Regeneration(process, errors, manifest.model.size)
            found.begin(text)
            yield found
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(BrokenPipeError):  # it ended before it read all that was said
                pipe.close()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
