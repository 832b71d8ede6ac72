"""A mixture of Gaussians in the plane: its exact denoiser, and what a sample of it must show."""

import math

import torch
from torch import Tensor

WEIGHTS = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
MEANS = torch.tensor([[-2.0, 0.5], [0.5, -1.5], [1.5, 2.0]], dtype=torch.float64)
STD = torch.tensor([0.3, 0.4, 0.25], dtype=torch.float64)
HIGH = 80.0

MEAN = WEIGHTS @ MEANS
COVARIANCE = (
    MEANS.T @ torch.diag(WEIGHTS) @ MEANS
    - torch.outer(MEAN, MEAN)
    + (WEIGHTS @ STD**2) * torch.eye(2, dtype=torch.float64)
)


def denoise(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
    """E[x0 | x] of images [B, 2, 1, 1]: each part's own guess, by how likely x is of that part."""
    points, level = x.flatten(1)[:, None], sigma[:, None]
    variance = STD**2 + level**2  # [B, 3]
    squares = (points - MEANS).square().sum(2)
    share = (WEIGHTS.log() - variance.log() - squares / (2 * variance)).softmax(1)
    guesses = (STD[:, None] ** 2 * points + level[:, :, None] ** 2 * MEANS) / variance[:, :, None]
    mean: Tensor = (share[:, :, None] * guesses).sum(1)
    return torch.reshape(mean, x.shape)


def start(count: int, seed: int = 1) -> Tensor:
    """What sampling starts from at level HIGH, with the data's own spread in it."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 2, 1, 1, dtype=torch.float64, generator=generator)
    return MEAN.reshape(2, 1, 1) + math.sqrt(HIGH**2 + float(COVARIANCE.trace()) / 2) * noise


def shares(x: Tensor) -> Tensor:
    """The share [3] of the points that is nearest to each part's mean."""
    nearest = torch.cdist(x.flatten(1), MEANS).argmin(1)
    return torch.bincount(nearest, minlength=3).double() / len(x)
