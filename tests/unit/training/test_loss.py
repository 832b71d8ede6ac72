"""What training lowers, where the noise of hues is muted."""

import pytest
import torch
from torch import Tensor

from core.diffusion.context_unet import ContextUNetConfig
from core.diffusion.noise_prediction import NoisePrediction
from core.diffusion.schedules import LinearBetas
from core.diffusion.unet import Preconditioned, UNetConfig
from core.training.batches import Batch
from core.training.loss import NoiseLoss, denoising_loss, noise_like

NOTHING = torch.zeros(8, 4, 8, 8)
GREY, HUE = (
    torch.tensor(values).view(1, 4, 1, 1).expand(8, 4, 8, 8)
    for values in ([1.0, 1.0, 1.0, 0.0], [1.0, -1.0, 0.0, 0.0])
)


@torch.no_grad()
def loss(images: Tensor, chroma: float) -> float:
    """Of a fresh network, which adds nothing to the skipped part of its input."""
    config = UNetConfig(4, context=2, widths=(16, 16, 16), embedding=16, heads=2)
    batch = Batch(images, torch.zeros(len(images), 2))
    generator = torch.Generator().manual_seed(1)
    return float(denoising_loss(Preconditioned(config, 0.5, chroma), batch, generator))


def test_muted_noise_weighs_as_much_as_plain_noise() -> None:
    assert loss(NOTHING, 0.25) == pytest.approx(loss(NOTHING, 1.0), rel=1e-4)
    assert loss(NOTHING, 1.0) > 0


def test_wrong_hues_weigh_more_and_wrong_greys_do_not() -> None:
    plain, muted = (loss(HUE, chroma) - loss(NOTHING, chroma) for chroma in (1.0, 0.25))
    assert muted > 8 * plain > 0
    assert loss(GREY, 0.25) == pytest.approx(loss(GREY, 1.0), rel=0.05)


def test_predicted_noise_is_that_of_an_image_whose_variance_stays_one() -> None:
    """x_t = sqrt(alpha_bar) x + sqrt(1 - alpha_bar) noise: the course has no root in the second."""
    betas = LinearBetas(20)
    denoiser = NoisePrediction(ContextUNetConfig(4, features=8, context=2, size=8), betas)
    seen: list[tuple[Tensor, ...]] = []
    denoiser.unet.register_forward_pre_hook(lambda _, given: seen.append(given))
    denoiser.unet.register_forward_hook(lambda _, __, guess: torch.zeros_like(guess))
    clean = torch.rand(32, 4, 8, 8) * 2 - 1
    batch = Batch(clean, torch.zeros(32, 2))
    told = NoiseLoss(denoiser, torch.device("cpu"))(batch, torch.Generator().manual_seed(1))
    again = torch.Generator().manual_seed(1)
    times = torch.randint(1, 21, (32,), generator=again)
    noise = noise_like(clean, again)
    (noisy, t, _), alpha_bar = seen[0], torch.tensor(betas.alpha_bar)[times].view(-1, 1, 1, 1)
    assert torch.equal(t, times / 20)
    assert torch.allclose(noisy, alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise, atol=1e-6)
    assert float(told) == pytest.approx(float(noise.square().mean()))
