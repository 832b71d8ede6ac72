"""The loss of a denoiser over random noise levels.

Source: Karras et al. 2022 (arXiv:2206.00364), table 1 (training) and equation 2.
"""

import torch
from torch import Tensor

from core.diffusion.unet import Preconditioned
from core.training.batches import Batch

P_MEAN, P_STD = -0.6, 1.3
"""log(sigma) ~ N(P_MEAN, P_STD^2): a little above the paper's, whose images have less contrast."""


def denoising_loss(denoiser: Preconditioned, batch: Batch, generator: torch.Generator) -> Tensor:
    """The weighted squared error of the guess, a scalar."""
    clean = batch.images
    sigma = (torch.randn(len(clean), generator=generator) * P_STD + P_MEAN).exp()
    s, d = sigma.view(-1, 1, 1, 1), denoiser.sigma_data
    noisy = clean + s * torch.randn(clean.shape, generator=generator)
    weight = (s**2 + d**2) / (s * d) ** 2
    guess = denoiser(noisy, sigma, batch.contexts)
    return torch.mean(weight * (guess - clean).square())
