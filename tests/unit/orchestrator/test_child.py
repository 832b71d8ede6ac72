"""Child processes that do not outlive us."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from core import processes
from orchestrator import child


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_output_of_a_child_is_appended_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "child.log"
    for word in ("one", "two"):
        process = child.start([sys.executable, "-c", f"print('{word}')"], log)
        assert process.wait(20) == 0
    assert log.read_text().split() == ["one", "two"]
    assert child.last_lines(log, 1) == "two"
    assert child.last_lines(log, 9) == "one\ntwo"


def test_stop_kills_a_child_that_does_not_listen(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    log = tmp_path / "log"
    process = child.start([sys.executable, "-c", f"{deaf}; signal.pause()"], log)
    wait_until(lambda: "deaf" in log.read_text())
    assert not child.stop(process, 0.1)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import signal, sys; from pathlib import Path; from orchestrator import child\n"
        "p = child.start([sys.executable, '-c', 'import signal; signal.pause()'], Path('log'))\n"
        "print(p.pid, flush=True); signal.pause()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    with parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        started = processes.started(pid)
        assert child.alive(pid, started)
        parent.kill()
    wait_until(lambda: not child.alive(pid, started))


def test_another_process_with_the_same_pid_is_not_taken_for_it() -> None:
    assert child.alive(os.getpid(), processes.started())
    assert not child.alive(os.getpid(), processes.started() - 60)


@pytest.mark.skipif(sys.platform != "linux", reason="its boot time moves with the clock")
def test_process_is_known_again_after_the_clock_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    noted, booted = processes.started(), psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + 3600.0)
    assert child.alive(os.getpid(), noted)


def test_process_that_ended_unnoticed_is_dead(tmp_path: Path) -> None:
    process = child.start([sys.executable, "-c", ""], tmp_path / "log")
    started = processes.started(process.pid)
    wait_until(lambda: not child.alive(process.pid, started))
    process.wait()
