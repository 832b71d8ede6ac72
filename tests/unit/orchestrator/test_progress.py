"""Rates and times to come."""

import pytest

from orchestrator.progress import WINDOW_SECONDS, Speed, eta


def test_rate_is_unknown_until_something_was_made() -> None:
    speed = Speed()
    assert speed.tell(0.0, 0) is None
    assert speed.tell(5.0, 0) is None
    assert speed.tell(10.0, 50) == pytest.approx(10.0)


def test_rate_is_not_judged_by_a_first_moment() -> None:
    speed = Speed()
    speed.tell(0.0, 0)
    assert speed.tell(0.2, 32) is None
    assert speed.tell(4.0, 64) == pytest.approx(16.0)


def test_rate_forgets_what_is_long_ago() -> None:
    speed = Speed()
    samples = 0
    for second in range(200):
        samples += 1 if second < 100 else 10
        rate = speed.tell(float(second), samples)
    assert rate == pytest.approx(10.0)
    assert WINDOW_SECONDS < 100


def test_lost_work_does_not_make_the_rate_negative() -> None:
    speed = Speed()
    speed.tell(0.0, 0)
    speed.tell(10.0, 100)
    assert speed.tell(11.0, 60) is None
    assert speed.tell(13.0, 80) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("left", "rate", "seconds"), [(0, None, 0.0), (10, 2.0, 5.0), (1, None, None)]
)
def test_eta_follows_from_what_is_left(
    left: int, rate: float | None, seconds: float | None
) -> None:
    assert eta(left, rate) == seconds
