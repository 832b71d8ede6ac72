"""How far two sets of features are apart, and how far a set is spread."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured value with the interval that holds 95% of its bootstrap."""

    value: float
    low: float
    high: float


def frechet(x: Features, y: Features) -> float:
    """The squared Frechet distance of the Gaussians with the moments of x [N, F] and y [M, F].

    Source: Heusel et al. 2017 (arXiv:1706.08500), equation 6. It is biased upwards for small sets:
    compare values of equal counts only.
    """
    mean = x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)
    cx, cy = (np.cov(z.astype(np.float64), rowvar=False) for z in (x, y))
    root = _root(cx)
    # tr (Cx Cy)^(1/2) by a symmetric matrix of the same eigenvalues
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cy @ root), 0)).sum()
    return float(mean @ mean + np.trace(cx) + np.trace(cy) - 2 * shared)


def kernel_distance(x: Features, y: Features, seed: int = 0, resamples: int = 400) -> Interval:
    """The squared maximum mean discrepancy of x [N, F] and y [M, F] by a cubic kernel, unbiased.

    Source: Binkowski et al. 2018 (arXiv:1801.01401), section 3: k(a, b) = (a.b / F + 1)^3. The
    interval resamples both sets; pairs of a sprite with itself stay out, else it would be biased.
    """
    xx, yy, xy = _cubic(x, x), _cubic(y, y), _cubic(x, y)
    for own in (xx, yy):
        np.fill_diagonal(own, 0)
    draw = np.random.default_rng(seed)
    found = [
        _discrepancy(xx, yy, xy, _resampled(len(x), draw), _resampled(len(y), draw))
        for _ in range(resamples)
    ]
    low, high = np.quantile(found, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    value = _discrepancy(xx, yy, xy, np.ones(len(x)), np.ones(len(y)))
    return Interval(value, float(low), float(high))


def mean_distance(x: Features, most: int = 1000, seed: int = 0) -> float:
    """The mean distance of two different members of x [N, F], of at most `most` of them."""
    if len(x) > most:
        x = x[np.random.default_rng(seed).choice(len(x), most, replace=False)]
    return float(np.sqrt(squared(x, x)).sum() / (len(x) * (len(x) - 1)))


def squared(x: Features, y: Features) -> NDArray[np.float64]:
    """Squared distances [N, M] of x [N, F] and y [M, F]; of a member to itself exactly 0."""
    a, b = x.astype(np.float64), y.astype(np.float64)
    distances = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    if x is y:
        np.fill_diagonal(distances, 0)
    positive: NDArray[np.float64] = np.maximum(distances, 0)
    return positive


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(covariance)
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root


def _cubic(x: Features, y: Features) -> NDArray[np.float64]:
    kernel: NDArray[np.float64] = (
        x.astype(np.float64) @ y.T.astype(np.float64) / x.shape[1] + 1
    ) ** 3
    return kernel


def _resampled(count: int, draw: np.random.Generator) -> NDArray[np.float64]:
    """How often each of `count` is drawn in as many draws."""
    return np.bincount(draw.integers(count, size=count), minlength=count).astype(np.float64)


def _discrepancy(
    xx: NDArray[np.float64],
    yy: NDArray[np.float64],
    xy: NDArray[np.float64],
    wx: NDArray[np.float64],
    wy: NDArray[np.float64],
) -> float:
    """The U-statistic where each member counts with its weight."""
    within = [w @ k @ w / (w.sum() ** 2 - w @ w) for k, w in ((xx, wx), (yy, wy))]
    return float(sum(within) - 2 * (wx @ xy @ wy) / (wx.sum() * wy.sum()))
