"""Which errors are tried again, and how often."""

import pytest

from core.errors import ModelError, UnreachableError
from workers.patience import backoff, patiently


class Server:
    """Fails so many times, then answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.left = failures
        self.error = error

    def ask(self) -> str:
        if self.left:
            self.left -= 1
            raise self.error
        return "answer"


def test_server_that_comes_back_is_asked_again_after_longer_waits() -> None:
    waits: list[float] = []
    assert patiently(Server(3, UnreachableError("down")).ask, waits.append) == "answer"
    assert len(waits) == 3
    assert waits == sorted(waits)


@pytest.mark.parametrize(("failures", "told"), [(1, []), (2, ["down"]), (5, ["down"])])
def test_trouble_that_is_over_in_a_moment_is_not_told(failures: int, told: list[str]) -> None:
    heard: list[str] = []
    server = Server(failures, UnreachableError("down"))
    patiently(server.ask, lambda _: None, lambda error: heard.append(error.message))
    assert heard == told


def test_server_that_stays_away_is_given_up() -> None:
    waits: list[float] = []
    with pytest.raises(UnreachableError, match="down"):
        patiently(Server(100, UnreachableError("down")).ask, waits.append)
    assert 8 < sum(waits) < 30


def test_server_without_which_nothing_is_kept_is_waited_for() -> None:
    waits: list[float] = []
    server = Server(100, UnreachableError("down"))
    assert patiently(server.ask, waits.append, tries=None) == "answer"
    assert len(waits) == 100
    assert max(waits) <= 10 * 1.25


def test_error_that_trying_cannot_mend_is_raised_at_once() -> None:
    waits: list[float] = []
    with pytest.raises(ModelError):
        patiently(Server(1, ModelError("wrong hash")).ask, waits.append)
    assert not waits


def test_order_to_stop_ends_the_waiting() -> None:
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        patiently(Server(1, UnreachableError("down")).ask, stop)


def test_those_that_failed_together_do_not_come_back_together() -> None:
    waits = [backoff(3) for _ in range(200)]
    assert len(set(waits)) > 100
    assert 8 * 0.75 <= min(waits) < 8 * 0.9
    assert 8 * 1.1 < max(waits) <= 8 * 1.25


def test_backoff_is_bounded() -> None:
    assert backoff(10_000) <= 300 * 1.25
