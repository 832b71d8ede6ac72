"""Noise levels, from the first step of sampling to the last."""


def karras_sigmas(steps: int, low: float, high: float, rho: float = 7.0) -> list[float]:
    """`steps` levels falling from `high` to `low`, then 0.

    Source: Karras et al. 2022 (arXiv:2206.00364), equation 5.
    """
    if steps == 1:
        return [high, 0.0]
    first, last = high ** (1 / rho), low ** (1 / rho)
    levels = [(first + i / (steps - 1) * (last - first)) ** rho for i in range(steps)]
    return [*levels, 0.0]
