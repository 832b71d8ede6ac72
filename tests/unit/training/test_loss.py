"""What training lowers, where the noise of hues is muted."""

import pytest
import torch
from torch import Tensor

from core.diffusion.unet import Preconditioned, UNetConfig
from core.training.batches import Batch
from core.training.loss import denoising_loss

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
