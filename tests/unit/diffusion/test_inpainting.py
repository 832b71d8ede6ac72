"""Sprites that start from pictures: what is kept, what is drawn anew, by every sampler."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.diffusion.inpainting import walked
from core.diffusion.model import Model
from core.diffusion.tile import render_tile
from core.request.plan import noise_key
from core.request.spec import Sampling
from core.sprites.alpha import Alpha
from core.sprites.given import Given
from tests.unit.request.pictures import lower_half, sprite

SAMPLERS = [
    Sampling(sampler="ddpm", steps=6, guidance=1.5),
    Sampling(sampler="ddim", steps=6, guidance=2.0, eta=0.0),
    Sampling(sampler="ddim", steps=6, guidance=2.0, eta=1.0),
    Sampling(sampler="dpmpp_2m", steps=6, guidance=2.0, interval=(0.1, 5.0)),
    Sampling(sampler="heun", steps=6, guidance=1.0),
]
EVERY_SAMPLER = pytest.mark.parametrize(
    "sampling", SAMPLERS, ids=lambda each: f"{each.sampler}-{each.eta}"
)
PICTURES = np.stack([sprite(16, seed) for seed in range(8)])
KEEP = np.repeat((lower_half(16) == 0)[None], 8, axis=0)


def draw(
    model: Model,
    sampling: Sampling,
    given: Given | None,
    rows: tuple[int, ...] = tuple(range(8)),
    seed: int = 0,
    alpha: Alpha = "binary",
    on_step: Callable[[int], None] = lambda _: None,
) -> NDArray[np.uint8]:
    picked = list(rows)
    if given is not None:
        given = Given(given.images[picked], given.keep[picked], given.share)
    contexts = np.eye(4, dtype=np.float32)[[row % 4 for row in picked]]
    negatives = np.roll(contexts, 1, axis=1)
    keys = [noise_key(seed, "context", row) for row in picked]
    return render_tile(model, contexts, negatives, keys, sampling, on_step, alpha, given)


@EVERY_SAMPLER
def test_kept_pixels_are_the_picture_and_the_others_are_not(
    small_model: Model, sampling: Sampling
) -> None:
    drawn = draw(small_model, sampling, Given(PICTURES, KEEP, 1.0))
    assert np.array_equal(drawn[KEEP], PICTURES[KEEP])
    other = draw(small_model, sampling, Given(PICTURES, KEEP, 1.0), seed=1)
    assert np.array_equal(other[KEEP], PICTURES[KEEP])
    assert (other[~KEEP] != drawn[~KEEP]).any(axis=-1).mean() > 0.5


@EVERY_SAMPLER
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_sprite_does_not_depend_on_what_is_rendered_beside_it(
    small_model: Model, sampling: Sampling, share: float
) -> None:
    given = Given(PICTURES, KEEP, share)
    together = draw(small_model, sampling, given)
    assert np.array_equal(draw(small_model, sampling, given, (5,))[0], together[5])
    backwards = draw(small_model, sampling, given, tuple(range(7, -1, -1)))
    assert np.array_equal(backwards[::-1], together)


def test_half_transparent_pixels_are_kept_where_alpha_is_soft(small_model: Model) -> None:
    soft = PICTURES.copy()
    soft[:, :, :8, 3] = 60
    soft[:, :, 8:10, 3] = 1
    soft[soft[..., 3] == 0] = 0
    drawn = draw(small_model, SAMPLERS[1], Given(soft, KEEP, 1.0), alpha="soft")
    assert np.array_equal(drawn[KEEP], soft[KEEP])


def test_what_is_drawn_wholly_anew_says_nothing_of_its_picture(small_model: Model) -> None:
    other = np.where(KEEP[..., None], PICTURES, 255 - PICTURES)
    one, two = (
        draw(small_model, SAMPLERS[1], Given(each, KEEP, 1.0)) for each in (PICTURES, other)
    )
    assert np.array_equal(one, two)


def test_keeping_nothing_of_it_is_as_no_picture(small_model: Model) -> None:
    nothing = Given(PICTURES, np.zeros_like(KEEP), 1.0)
    for sampling in SAMPLERS:
        free = draw(small_model, sampling, nothing)
        assert np.array_equal(free, draw(small_model, sampling, None))


class Ideal:
    """Draws images of unit normal pixels, whatever is asked."""

    def __call__(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        return x / (1 + sigma.view(-1, 1, 1, 1) ** 2)


@EVERY_SAMPLER
def test_the_less_strength_the_nearer_to_the_picture(
    small_model: Model, sampling: Sampling
) -> None:
    ideal = Model(small_model.spec, Ideal(), "", torch.device("cpu"))
    opaque = PICTURES.copy()
    opaque[..., :3], opaque[..., 3] = 100 + opaque[..., :3] // 5, 255
    gaps = []
    for share in (1 / 6, 0.5, 5 / 6):
        nothing_kept = np.zeros_like(KEEP)
        drawn = draw(ideal, sampling, Given(opaque, nothing_kept, share), alpha="opaque")
        gaps.append(np.abs(drawn.astype(int) - opaque)[..., :3].mean())
    assert 0 < gaps[0] < gaps[1] < gaps[2]


def test_strength_is_the_share_of_the_steps_that_are_walked(small_model: Model) -> None:
    sigmas = [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    assert walked(sigmas, 1.0) == sigmas
    assert walked(sigmas, 0.6) == [3.0, 2.0, 1.0, 0.0]
    assert walked(sigmas, 0.01) == [1.0, 0.0]
    steps: list[int] = []
    draw(small_model, SAMPLERS[1], Given(PICTURES, KEEP, 0.5), on_step=steps.append)
    assert steps == [0, 1, 2]


@pytest.mark.parametrize("sampling", SAMPLERS[:4], ids=lambda each: f"{each.sampler}-{each.eta}")
def test_every_sampler_steers_away_from_negatives_and_within_an_interval(
    small_model: Model, sampling: Sampling
) -> None:
    whole = sampling.model_copy(update={"interval": None})
    contexts = np.eye(4, dtype=np.float32)
    keys = [noise_key(0, "context", row) for row in range(4)]

    def drawn(asked: Sampling, negatives: NDArray[np.float32] | None) -> NDArray[np.uint8]:
        return render_tile(small_model, contexts, negatives, keys, asked, lambda _: None, "soft")

    steered = drawn(whole, np.roll(contexts, 1, axis=1))
    assert not np.array_equal(steered, drawn(whole, None))
    partly = whole.model_copy(update={"interval": (0.1, 2.0)})
    assert not np.array_equal(steered, drawn(partly, np.roll(contexts, 1, axis=1)))
    never = whole.model_copy(update={"interval": (1e3, 1e4)})
    alone = whole.model_copy(update={"guidance": 1.0})
    assert np.array_equal(drawn(never, None), drawn(alone, None))


@pytest.mark.parametrize("channels", [1, 3])
def test_models_without_alpha_keep_opaque_pictures(small_model: Model, channels: int) -> None:
    opaque = PICTURES.copy()
    opaque[..., 3] = 255
    if channels == 1:
        opaque[..., 1:3] = opaque[..., :1]
    spec = small_model.spec.model_copy(update={"channels": channels})
    ideal = Model(spec, Ideal(), "", torch.device("cpu"))
    drawn = draw(ideal, SAMPLERS[1], Given(opaque, KEEP, 1.0), alpha="opaque")
    assert np.array_equal(drawn[KEEP], opaque[KEEP])
    assert (drawn[~KEEP] != opaque[~KEEP]).any()
