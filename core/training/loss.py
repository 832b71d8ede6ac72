"""What training lowers: for each network the squared error that its source weighs so."""

from collections.abc import Callable

import torch
from torch import Tensor

from core.diffusion.model import Trainable
from core.diffusion.noise import muted
from core.diffusion.noise_prediction import NoisePrediction
from core.diffusion.unet import Preconditioned
from core.training.batches import Batch

Loss = Callable[[Batch, torch.Generator], Tensor]
"""The loss of a batch, a scalar; what is drawn at random comes from the generator."""

P_MEAN, P_STD = -0.6, 1.3
"""log(sigma) ~ N(P_MEAN, P_STD^2): a little above the paper's, whose images have less contrast."""


def loss_of(denoiser: Trainable, device: torch.device) -> Loss:
    """The loss that belongs to a network, whose parameters must stay the same tensors."""
    if isinstance(denoiser, NoisePrediction):
        return NoiseLoss(denoiser, device)
    return lambda batch, generator: denoising_loss(denoiser, batch, generator)


def denoising_loss(denoiser: Preconditioned, batch: Batch, generator: torch.Generator) -> Tensor:
    """The weighted squared error of the guess at random noise levels.

    Source: Karras et al. 2022 (arXiv:2206.00364), table 1 (training) and equation 2; hues count as
    much as their noise is muted.
    """
    clean = batch.images
    level = torch.randn(len(clean), generator=generator, device=clean.device)
    sigma = (level * P_STD + P_MEAN).exp()
    s, d = sigma.view(-1, 1, 1, 1), denoiser.sigma_data
    noisy = clean + s * muted(noise_like(clean, generator), denoiser.chroma)
    weight = (s**2 + d**2) / (s * d) ** 2
    error = denoiser(noisy, sigma, batch.contexts) - clean
    return torch.mean(weight * muted(error, 1 / denoiser.chroma).square())


class NoiseLoss:
    """The squared error of the predicted noise at random times.

    Source: Ho et al. 2020 (arXiv:2006.11239), equation 14; x_t by equation 4.
    """

    def __init__(self, denoiser: NoisePrediction, device: torch.device) -> None:
        self._network, self._betas = denoiser.unet, denoiser.betas
        self._alpha_bar = torch.tensor(denoiser.betas.alpha_bar, device=device)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Tensor:
        clean, last = batch.images, self._betas.timesteps
        t = torch.randint(1, last + 1, (len(clean),), generator=generator, device=clean.device)
        noise = noise_like(clean, generator)
        share = self._alpha_bar[t].view(-1, 1, 1, 1)
        noisy = share.sqrt() * clean + (1 - share).sqrt() * noise
        guess = self._network(noisy, t / last, batch.contexts)
        return torch.mean((guess.float() - noise).square())


def noise_like(images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(images.shape, generator=generator, device=images.device)
