"""The program as users run it: a subprocess, a home of its own, the fake renderer."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

COMMAND_SECONDS = 120.0
PROGRAM = Path(sys.executable).with_name("spritemill")


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The documents of JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Program:
    """Runs `spritemill` with settings of its own."""

    folder: Path
    environment: dict[str, str]
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def __call__(self, *arguments: str | Path, **environment: str) -> Said:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=COMMAND_SECONDS)
        return Said(process.returncode, out, err)

    def start(self, *arguments: str | Path, **environment: str) -> "subprocess.Popen[str]":
        """A command that goes on, in a session of its own as in a terminal of its own."""
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.environment, **environment},
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def request(self, text: str, name: str = "request.yaml") -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def end(self) -> None:
        """Whatever still runs is stopped as a user would."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
        if (self.home / "mill.json").exists():
            self("down")


@pytest.fixture
def spritemill(tmp_path: Path) -> Iterator[Program]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    program = Program(
        tmp_path,
        {
            **kept,
            "HOME": str(tmp_path),
            "SPRITEMILL_HOME": str(tmp_path / "home"),
            "SPRITEMILL_OWNER": "ada",
            "SPRITEMILL_RENDERER": "fake",
            "SPRITEMILL_FAKE_RATE": "2000",
            "SPRITEMILL_SLOTS": "1",
        },
    )
    yield program
    program.end()
