"""The algebra of guidance, over a denoiser that answers with its context."""

import torch
from torch import Tensor

from core.diffusion.guidance import Guided

X = torch.zeros(2, 1, 1, 1)
SIGMA = torch.full((2,), 3.0)
CONTEXT = torch.tensor([[1.0, 0.0], [0.0, 2.0]])


class Echo:
    """Draws the sum of the context plus 10, and remembers how many images it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        self.asked.append(len(x))
        return 10 + context.sum(dim=1).view(-1, 1, 1, 1)


def test_guidance_moves_away_from_no_context() -> None:
    drawn = Guided(Echo(), 3.0)(X, SIGMA, CONTEXT)
    assert drawn.flatten().tolist() == [10 + 3 * 1, 10 + 3 * 2]


def test_guidance_moves_away_from_the_negative() -> None:
    negative = torch.tensor([[0.0, 4.0], [0.0, 0.0]])
    drawn = Guided(Echo(), 2.0, negative)(X, SIGMA, CONTEXT)
    assert drawn.flatten().tolist() == [14 + 2 * (11 - 14), 10 + 2 * 2]


def test_scale_zero_draws_the_negative() -> None:
    negative = torch.tensor([[5.0, 0.0], [7.0, 0.0]])
    assert Guided(Echo(), 0.0, negative)(X, SIGMA, CONTEXT).flatten().tolist() == [15, 17]


def test_scale_one_costs_one_evaluation_and_draws_what_is_asked() -> None:
    echo = Echo()
    drawn = Guided(echo, 1.0, torch.ones(2, 2))(X, SIGMA, CONTEXT)
    assert drawn.flatten().tolist() == [11, 12]
    assert echo.asked == [2]


def test_guidance_is_one_batched_call() -> None:
    echo = Echo()
    Guided(echo, 2.0)(X, SIGMA, CONTEXT)
    assert echo.asked == [4]


def test_each_sprite_may_have_a_scale_of_its_own() -> None:
    scales = torch.tensor([[[[3.0]]], [[[1.0]]]])
    assert Guided(Echo(), scales)(X, SIGMA, CONTEXT).flatten().tolist() == [10 + 3 * 1, 10 + 2]


def test_guidance_rests_outside_its_interval() -> None:
    echo = Echo()
    guided = Guided(echo, 2.0, interval=(0.5, 2.0))
    assert guided(X, SIGMA, CONTEXT).flatten().tolist() == [11, 12]
    assert guided(X, SIGMA / 2, CONTEXT).flatten().tolist() == [12, 14]
    assert guided(X, SIGMA / 10, CONTEXT).flatten().tolist() == [11, 12]
    assert echo.asked == [2, 4, 2]
