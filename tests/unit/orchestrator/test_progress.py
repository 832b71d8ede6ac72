"""Rates and times to come."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ledger.jobs import Job
from core.ledger.shards import Progress as Flying
from orchestrator.progress import WINDOW_SECONDS, Speed, eta, status


def job(**values: Any) -> Job:
    """1,000 samples in shards of 50."""
    facts: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
    shape = {"total_samples": 1000, "shard_samples": 50, "samples_done": 0, "render_seconds": 0.0}
    shape["samples_unfilled"] = 0
    return Job(**{**facts, **shape, **values})


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


def test_status_tells_rate_range_and_cost_of_what_is_done_and_in_flight() -> None:
    """100 of 1,000 samples at 0.1 s each; two shards under way, at 0.08 and 0.2 s a sample."""
    flying = Flying(samples=30, leased=2, seconds=4.0, fastest=0.08, slowest=0.2)
    found = status(job(samples_done=100, render_seconds=10.0), flying, 1, "")
    assert found.samples == 130
    assert found.rate == pytest.approx(20.0)
    assert found.eta == pytest.approx(870 / 20)
    assert found.eta_range == pytest.approx((870 * 0.08 / 2, 870 * 0.2 / 2 + 50 * 0.2 / 2))
    assert (found.gpu_seconds_spent, found.gpu_seconds_left) == pytest.approx((14.0, 87.0))


def test_samples_that_cannot_be_filled_are_not_left_to_draw() -> None:
    half = status(job(samples_done=400, samples_unfilled=400, render_seconds=80.0), Flying(), 1, "")
    assert (half.samples, half.samples_left) == (400, 200)
    assert half.gpu_seconds_left == pytest.approx(20.0)
    over = status(job(samples_done=500, samples_unfilled=500, render_seconds=99.0), Flying(), 1, "")
    assert (over.eta, over.gpu_seconds_left) == (0.0, 0.0)


def test_pace_of_the_first_shards_under_way_is_enough_to_foresee_the_end() -> None:
    flying = Flying(samples=10, leased=1, seconds=2.0, fastest=0.2, slowest=0.2)
    found = status(job(), flying, 1, "")
    assert found.eta == pytest.approx(198.0)
    assert found.eta_range == pytest.approx((198.0, 198.0)), "one slot works without a gap"


def test_nothing_is_foreseen_before_anything_was_made_nor_while_nobody_works() -> None:
    new = status(job(), Flying(leased=1), 1, "")
    assert (new.rate, new.eta, new.eta_range, new.gpu_seconds_left) == (None, None, None, None)
    held = status(job(samples_done=100, render_seconds=10.0), Flying(), 1, "")
    assert (held.rate, held.eta, held.eta_range) == (None, None, None)
    assert held.gpu_seconds_left == pytest.approx(90.0)


@given(
    done=st.integers(1, 999),
    took=st.floats(0.001, 1e6),
    leased=st.integers(1, 100),
    paces=st.tuples(st.floats(1e-4, 1e3), st.floats(1e-4, 1e3)),
    seen=st.floats(1e-3, 1e6),
)
def test_time_to_come_lies_in_its_range_at_whatever_rate(
    done: int, took: float, leased: int, paces: tuple[float, float], seen: float
) -> None:
    flying = Flying(leased=leased, fastest=min(paces), slowest=max(paces))
    found = status(job(samples_done=done, render_seconds=took), flying, 1, "")
    for each in (found, found.at(seen)):
        assert each.eta is not None
        assert each.eta_range is not None
        low, high = each.eta_range
        assert low * 0.999 <= each.eta <= high * 1.001
