"""What is told of a run while it goes."""

import pytest

from core.training.watch import Pace


def test_pace_is_that_since_the_beginning_at_first() -> None:
    pace = Pace(1000, 50.0)
    assert pace(1000, 50.0) == 0
    assert pace(1100, 60.0) == pytest.approx(10)
    assert pace(1300, 70.0) == pytest.approx(15)


def test_pace_forgets_what_was_minutes_ago() -> None:
    pace = Pace(0, 0.0)
    for second in range(1, 11):
        pace(10 * second, float(second))
    pace(110, 3600.0)  # the machine slept
    for second in range(1, 300):
        latest = pace(110 + 10 * second, 3600.0 + second)
        assert latest == pytest.approx(10) or second < 121
    assert latest == pytest.approx(10)
