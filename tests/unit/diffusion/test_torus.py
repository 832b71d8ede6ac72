"""On a torus no place is special: what is moved is drawn moved."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.diffusion.model import Model
from core.diffusion.tile import render_tile
from core.diffusion.torus import on_torus
from core.errors import ModelError
from core.request.plan import noise_key
from core.request.spec import Sampling

STRIDE = 8  # the network's coarsest pixel
SIGMA = torch.full((3,), 1.5)
CONTEXT = torch.eye(4)[:3]


def noise() -> Tensor:
    return torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(1))


def moved(model: Model, across: int, along: int) -> float:
    """How far what is drawn of a moved image is from the moved drawing, as a share of it."""
    with torch.inference_mode():
        here = model.denoiser(noise(), SIGMA, CONTEXT)
        there = model.denoiser(noise().roll((along, across), (2, 3)), SIGMA, CONTEXT)
    gap = (there - here.roll((along, across), (2, 3))).abs().max() / here.abs().max()
    return float(gap)


@pytest.mark.parametrize(
    ("sides", "across", "along"),
    [("x", True, False), ("y", False, True), ("both", True, True)],
)
def test_network_draws_alike_wherever_the_joined_sides_are(
    small_model: Model, sides: Literal["x", "y", "both"], across: bool, along: bool
) -> None:
    joined = on_torus(small_model, sides)
    assert (moved(joined, STRIDE, 0) < 0.02) == across
    assert (moved(joined, 0, STRIDE) < 0.02) == along
    assert moved(small_model, STRIDE, 0) > 0.02


def test_weights_are_shared_and_the_model_itself_stays(small_model: Model) -> None:
    with torch.inference_mode():
        before = small_model.denoiser(noise(), SIGMA, CONTEXT)
        joined = on_torus(small_model, "both")
        assert torch.equal(small_model.denoiser(noise(), SIGMA, CONTEXT), before)
    assert isinstance(joined.denoiser, nn.Module)
    assert isinstance(small_model.denoiser, nn.Module)
    ours = {each.data_ptr() for each in small_model.denoiser.parameters()}
    assert {each.data_ptr() for each in joined.denoiser.parameters()} == ours


def test_tiling_sprite_does_not_depend_on_what_is_rendered_beside_it(small_model: Model) -> None:
    joined = on_torus(small_model, "both")
    contexts, sampling = (
        np.eye(4, dtype=np.float32),
        Sampling(sampler="ddim", steps=3, guidance=2.0, eta=1.0),
    )
    keys = [noise_key(0, "context", row) for row in range(4)]
    together = render_tile(joined, contexts, None, keys, sampling, lambda _: None)
    alone = render_tile(joined, contexts[2:3], None, keys[2:3], sampling, lambda _: None)
    assert np.array_equal(alone[0], together[2])


def test_model_without_a_network_is_refused(small_model: Model) -> None:
    def denoise(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        return x

    with pytest.raises(ModelError, match="no network"):
        on_torus(Model(small_model.spec, denoise, "", torch.device("cpu")), "x")
