"""A film shows each step once, whatever the sampler, and changes nothing of what is drawn."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.diffusion.film import Film
from core.diffusion.model import Model
from core.diffusion.tile import Watch, render_tile
from core.request.plan import noise_key
from core.request.spec import Sampling


def draw(model: Model, sampling: Sampling, watch: Watch | None) -> NDArray[np.uint8]:
    keys = [noise_key(0, "context", row) for row in range(4)]
    return render_tile(
        model, np.eye(4, dtype=np.float32), None, keys, sampling, lambda _: None, watch=watch
    )


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(sampler="ddpm", steps=5, guidance=1.5),
        Sampling(sampler="ddim", steps=5, guidance=1.0, eta=0.5),
        Sampling(sampler="dpmpp_2m", steps=5, guidance=2.0),
        Sampling(sampler="heun", steps=5, guidance=2.0),
    ],
    ids=lambda each: each.sampler,
)
def test_every_step_is_one_shot_of_one_reel_for_each_tile(
    small_model: Model, sampling: Sampling
) -> None:
    film = Film("guess", "binary")
    filmed = [draw(small_model, sampling, film.watching) for _ in range(2)]
    assert [len(reel) for reel in film.reels] == [5, 5]
    assert np.array_equal(filmed[0], draw(small_model, sampling, None))
    assert np.array_equal(film.reels[0][-1][:4], filmed[0]), "the last guess is what is drawn"


class Half:
    """Guesses half of what it sees."""

    def __call__(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        return x / 2


def shots(film: Film, x: Tensor, level: float) -> NDArray[np.uint8]:
    film.watching(Half())(x, torch.full((len(x),), level), torch.zeros(len(x), 0))
    return film.reels[-1][-1]


def test_noisy_images_are_scaled_alike_in_every_channel() -> None:
    x = torch.tensor([2.0, 1.0, 0.0, 4.0]).view(1, 4, 1, 1).repeat(1, 1, 8, 8)
    shot = shots(Film("noisy", "opaque"), x, 3**0.5)
    assert shot[0, 0, 0].tolist() == [255, 191, 128, 255]  # half of 2, 1 and 0, of [-1, 1]


def test_guess_is_shown_as_it_is() -> None:
    x = torch.tensor([2.0, 1.0, 0.0, 4.0]).view(1, 4, 1, 1).repeat(1, 1, 8, 8)
    shot = shots(Film("guess", "opaque"), x, 3**0.5)
    assert shot[0, 0, 0].tolist() == [255, 191, 128, 255]


def test_tiles_of_one_step_are_a_reel_each(small_model: Model) -> None:
    film = Film("guess", "binary")
    for _ in range(2):
        draw(small_model, Sampling(sampler="ddim", steps=1, guidance=1.0, eta=0.0), film.watching)
    assert [len(reel) for reel in film.reels] == [1, 1]
