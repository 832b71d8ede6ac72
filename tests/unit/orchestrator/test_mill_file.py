"""The note by which other commands find a mill."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core import processes
from core.errors import SpritemillError
from orchestrator import mill_file
from orchestrator.mill_file import Running


def test_living_mill_is_found(tmp_path: Path) -> None:
    us = Running(os.getpid(), processes.started(), "redis+socket:///somewhere")
    mill_file.write(tmp_path, us)
    assert mill_file.find(tmp_path) == us
    mill_file.remove(tmp_path)
    assert mill_file.find(tmp_path) is None


def test_note_of_a_killed_mill_is_not_believed(tmp_path: Path) -> None:
    mill_file.write(tmp_path, Running(os.getpid(), processes.started() - 99, "redis://old"))
    assert mill_file.find(tmp_path) is None
    assert mill_file.stop(tmp_path, 1.0) is None


def test_broker_in_the_note_is_read_by_this_user_alone(tmp_path: Path) -> None:
    mill_file.write(tmp_path, Running(1, 1.0, "redis://:secret@host"))
    assert (tmp_path / "mill.json").stat().st_mode & 0o077 == 0


def test_unreadable_note_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "mill.json").write_text("{")
    with pytest.raises(SpritemillError, match="Remove the file"):
        mill_file.find(tmp_path)


def test_stop_asks_and_waits_until_the_mill_is_gone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = processes.started(process.pid)
        mill_file.write(tmp_path, Running(process.pid, started, "redis://host"))
        assert mill_file.stop(tmp_path, 5.0)
        assert process.wait(5) == -signal.SIGTERM
