import numpy as np
import pytest

from core.evaluation.manifold import compare


def cloud(centre: float, count: int = 60, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((count, 3)) + centre).astype(np.float32)


def test_samples_equal_to_the_real_ones_cover_them_all() -> None:
    found = compare(cloud(0), cloud(0))
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density >= 1


def test_samples_far_from_the_real_ones_cover_nothing() -> None:
    found = compare(cloud(0), cloud(100))
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)


def test_samples_of_one_half_of_what_is_real_cover_that_half() -> None:
    real = np.concatenate([cloud(0, seed=1), cloud(100, seed=2)])
    found = compare(real, cloud(0, seed=1))
    assert found.coverage == 0.5
    assert found.recall == 0.5
    assert found.precision == 1


def test_a_lone_real_sprite_far_out_raises_precision_but_hardly_density() -> None:
    """Its ball is huge, and everything within it counts as real once."""
    real = np.concatenate([cloud(0), np.full((1, 3), 100, dtype=np.float32)])
    found = compare(real, cloud(40))
    assert found.precision == 1
    assert found.density == pytest.approx(1 / 5)
    assert found.coverage == pytest.approx(1 / 61)


def test_density_counts_the_balls_that_a_sample_lies_in() -> None:
    """Real at 0, 1, 2, 3 with k = 1: a sample at 1 lies in the closed balls of 0, 1 and 2."""
    real = np.arange(4, dtype=np.float32)[:, None]
    found = compare(real, np.array([[1], [50]], dtype=np.float32), k=1)
    assert found.density == pytest.approx(3 / 2)
    assert found.coverage == pytest.approx(3 / 4)
