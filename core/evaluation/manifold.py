"""Whether samples lie where real sprites lie, and reach all of them: by balls about neighbours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.distances import Features, squared

NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class Manifold:
    """Precision, recall: Kynkaanniemi et al. 2019 (arXiv:1904.06991), equations 2 and 3.

    Density, coverage: Naeem et al. 2020 (arXiv:2002.09797), equations 3 and 4: less at the mercy of
    single real sprites that lie far out.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def compare(real: Features, samples: Features, k: int = NEIGHBOURS) -> Manifold:
    """How `samples` [M, F] lie to `real` [N, F]; both have more than k members."""
    between = squared(real, samples)
    in_real = between <= _radii(real, k)[:, None]
    in_samples = between <= _radii(samples, k)[None, :]
    return Manifold(
        precision=float(in_real.any(axis=0).mean()),
        recall=float(in_samples.any(axis=1).mean()),
        density=float(in_real.sum() / (k * len(samples))),
        coverage=float(in_real.any(axis=1).mean()),
    )


def _radii(x: Features, k: int) -> NDArray[np.float64]:
    """Squared distances [N] of each to its k-th neighbour; the nearest is itself."""
    radii: NDArray[np.float64] = np.partition(squared(x, x), k, axis=1)[:, k]
    return radii
