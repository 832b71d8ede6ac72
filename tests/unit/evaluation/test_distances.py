import numpy as np
import pytest
from numpy.typing import NDArray

from core.evaluation.distances import frechet, kernel_distance, mean_distance

F32 = NDArray[np.float32]


def with_moments(mean: list[float], deviation: list[float], count: int = 500) -> F32:
    """Points with exactly these moments: drawn, then whitened."""
    drawn = np.random.default_rng(count).standard_normal((count, len(mean)))
    drawn -= drawn.mean(axis=0)
    root = np.linalg.cholesky(np.linalg.inv(np.cov(drawn, rowvar=False)))
    return (drawn @ root * deviation + mean).astype(np.float32)


def test_frechet_distance_of_equal_gaussians_is_zero() -> None:
    x = with_moments([1, 2, 3], [1, 2, 3])
    assert frechet(x, x[::-1].copy()) == pytest.approx(0, abs=1e-4)


def test_frechet_distance_of_moved_gaussians_is_their_squared_distance() -> None:
    assert frechet(
        with_moments([0, 0], [2, 1]), with_moments([3, 4], [2, 1], 700)
    ) == pytest.approx(25, rel=1e-3)


def test_frechet_distance_of_wider_gaussians_is_that_of_their_deviations() -> None:
    """For diagonal covariances it is the sum of (a - b)^2."""
    assert frechet(
        with_moments([0, 0], [1, 5]), with_moments([0, 0], [3, 2], 700)
    ) == pytest.approx(2**2 + 3**2, rel=1e-3)


def test_frechet_distance_of_turned_gaussians_is_by_the_formula() -> None:
    """In two dimensions tr (AB)^(1/2) = (tr AB + 2 (det AB)^(1/2))^(1/2)."""
    x, y = with_moments([0, 0], [1, 3]), with_moments([0, 0], [1, 2], 700)
    turned = (y @ np.array([[0.6, -0.8], [0.8, 0.6]])).astype(np.float32)
    a, b = np.cov(x, rowvar=False), np.cov(turned, rowvar=False)
    shared = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    assert frechet(x, turned) == pytest.approx(np.trace(a) + np.trace(b) - 2 * shared, rel=1e-3)


def test_kernel_distance_is_the_unbiased_mean_over_pairs() -> None:
    draw = np.random.default_rng(0)
    x, y = (draw.standard_normal((count, 3)).astype(np.float32) for count in (5, 7))

    def k(a: F32, b: F32) -> float:
        return float((a.astype(np.float64) @ b / 3 + 1) ** 3)

    within = [
        np.mean([k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j])
        for z in (x, y)
    ]
    expected = sum(within) - 2 * np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y, resamples=1).value == pytest.approx(expected, rel=1e-6)


def test_kernel_distance_of_equal_distributions_is_zero_on_average() -> None:
    draw = np.random.default_rng(1)
    sets = draw.standard_normal((400, 2, 20, 4)).astype(np.float32)
    found = np.array([kernel_distance(x, y, resamples=1).value for x, y in sets])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    assert (found < 0).any(), "an unbiased estimate of zero is negative at times"


def test_kernel_distance_of_other_distributions_is_clearly_above_zero() -> None:
    draw = np.random.default_rng(2)
    x, y = draw.standard_normal((2, 100, 4)).astype(np.float32)
    found = kernel_distance(x, y + 1)
    assert 0 < found.low < found.value < found.high


def test_bootstrap_interval_of_equal_sets_is_about_zero() -> None:
    x = np.random.default_rng(3).standard_normal((150, 4)).astype(np.float32)
    y = np.random.default_rng(4).standard_normal((150, 4)).astype(np.float32)
    found = kernel_distance(x, y)
    assert found.low < found.value < found.high
    assert found.low < 0.1
    assert found == kernel_distance(x, y), "the same seed, the same interval"


def test_mean_distance_leaves_out_a_member_and_itself() -> None:
    corners = np.array([[0, 0], [3, 4]], dtype=np.float32)
    assert mean_distance(corners) == pytest.approx(5)
