"""The discrete schedule against its definition, and the times that it walks."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.diffusion.schedules import LinearBetas
from core.errors import UsageError

COURSE = LinearBetas()
LONG = LinearBetas(1000)


@pytest.mark.parametrize("betas", [COURSE, LONG, LinearBetas(10, 0.01, 0.3)])
def test_tables_are_the_products_of_the_definition(betas: LinearBetas) -> None:
    grid = betas.start + (betas.end - betas.start) * np.linspace(0, 1, betas.timesteps + 1)
    expected = np.cumprod(1 - grid)
    expected[0] = 1
    np.testing.assert_allclose(betas.alpha_bar, expected, rtol=1e-12)
    np.testing.assert_allclose(betas.sigma, np.sqrt((1 - expected) / expected), rtol=1e-9)


def test_the_course_ends_in_noise_over_twelve_times_as_loud_as_the_image() -> None:
    assert COURSE.sigma[0] == 0
    assert COURSE.sigma[-1] == pytest.approx(12.57, abs=0.01)


def test_scales_are_those_of_the_papers_algorithm() -> None:
    for t in (1, 2, 250, 500):
        beta = 1 - COURSE.alpha_bar[t] / COURSE.alpha_bar[t - 1]
        before, now = COURSE.alpha_bar[t - 1], COURSE.alpha_bar[t]
        s1, s2, s3 = COURSE.scales(t)
        assert s1 == pytest.approx(1 / math.sqrt(1 - beta), rel=1e-12)
        assert s2 == pytest.approx(beta / math.sqrt(1 - now), rel=1e-12)
        assert s3**2 == pytest.approx(beta * (1 - before) / (1 - now), rel=1e-12)
        if t > 1:
            assert beta == pytest.approx(1e-4 + (0.02 - 1e-4) * t / 500, rel=1e-9)


def test_the_last_step_adds_no_noise() -> None:
    assert COURSE.scales(1)[2] == 0
    assert all(COURSE.scales(t)[2] > 0 for t in range(2, 501))


@given(st.sampled_from([COURSE, LONG]), st.data())
def test_any_number_of_steps_falls_from_the_first_time_to_nothing(
    betas: LinearBetas, data: st.DataObject
) -> None:
    steps = data.draw(st.integers(1, betas.timesteps))
    times = betas.times(steps)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (betas.timesteps, 0)
    assert all(t > s >= 0 for t, s in pairwise(times))


@given(st.integers(1, 500))
def test_any_step_size_falls_evenly_and_never_below_nothing(size: int) -> None:
    times = COURSE.times_by(size)
    assert (times[0], times[-1]) == (500, 0)
    assert {t - s for t, s in pairwise(times[:-1])} <= {size}
    assert 0 < times[-2] <= size


@pytest.mark.parametrize("wrong", [0, -1, 501])
def test_steps_that_the_schedule_has_not_are_refused(wrong: int) -> None:
    with pytest.raises(UsageError, match=f"steps = {wrong}: this model takes 1 to 500"):
        COURSE.times(wrong)
    with pytest.raises(UsageError, match=f"step_size = {wrong}: this model takes 1 to 500"):
        COURSE.times_by(wrong)


def test_times_that_rise_are_refused() -> None:
    with pytest.raises(UsageError, match="must fall"):
        COURSE.sigmas([5, 5, 0])
