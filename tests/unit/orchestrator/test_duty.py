"""Background loops: alive whatever happens in them, and quick to stop."""

import threading
import time

import pytest
from structlog.testing import capture_logs

from orchestrator.duty import Duty

LONG = 3600.0


def test_step_is_repeated_after_the_pause_it_names() -> None:
    thrice = threading.Semaphore(0)

    def step() -> float:
        thrice.release()
        return 0.0

    duty = Duty("test", step)
    duty.start()
    assert all(thrice.acquire(timeout=10) for _ in range(3))
    duty.stop()


def test_failing_step_is_counted_and_tried_again() -> None:
    recovered = threading.Event()

    def step() -> float:
        if duty.failures == 0:
            raise RuntimeError("once")
        recovered.set()
        return LONG

    duty = Duty("test", step)
    duty.start()
    assert recovered.wait(10)
    duty.stop()
    assert duty.failures == 1


def test_traceback_is_logged_for_the_first_failure_in_a_row_alone() -> None:
    recovered = threading.Event()

    def step() -> float:
        if duty.failures < 3:
            raise RuntimeError("away")
        recovered.set()
        return LONG

    duty = Duty("test", step)
    with capture_logs() as logged:
        duty.start()
        assert recovered.wait(10)
        duty.stop()
    assert [(each["in_a_row"], each["exc_info"]) for each in logged] == [
        (1, True),
        (2, False),
        (3, False),
    ]
    assert {each["error"] for each in logged} == {"RuntimeError: away"}


def test_poke_ends_a_long_pause() -> None:
    done = threading.Semaphore(0)

    def step() -> float:
        done.release()
        return LONG

    duty = Duty("test", step)
    duty.start()
    assert done.acquire(timeout=10)
    duty.poke()
    assert done.acquire(timeout=10)
    duty.stop()


@pytest.mark.parametrize("started", [True, False])
def test_stop_does_not_wait_for_the_pause(started: bool) -> None:
    duty = Duty("test", lambda: LONG)
    if started:
        duty.start()
    before = time.monotonic()
    duty.stop()
    assert time.monotonic() - before < 10
