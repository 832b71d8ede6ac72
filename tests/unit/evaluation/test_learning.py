import numpy as np
import pytest
import torch

from core.evaluation.learning import Lessons, learn, varied
from core.sprites.alpha import from_rgba
from tests.unit.evaluation.sprites import blocks, examples

EXAMPLES = examples(blocks(8), [0] * 6 + [1] * 2, ("book", "potion"))


def test_varied_sprites_stay_sprites() -> None:
    grain = torch.linspace(0, 0.2, 8)
    images = varied(EXAMPLES.images, grain, torch.Generator().manual_seed(0))
    colour, cover = images[:, :3] / 2 + 0.5, images[:, 3:] / 2 + 0.5
    assert images.shape == (8, 4, 32, 32)
    assert (colour >= 0).all()
    assert (colour <= cover + 1e-6).all(), "premultiplied"
    assert not np.array_equal(images.numpy(), from_rgba(EXAMPLES.images))


def test_variation_is_a_function_of_the_generator() -> None:
    drawn = [
        varied(EXAMPLES.images, torch.ones(8), torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_rare_classes_are_drawn_more_often_than_they_are_there() -> None:
    lessons = Lessons(EXAMPLES)
    labels = torch.cat([lessons.batch(step)[1] for step in range(30)])
    share = float((labels == 1).float().mean())
    assert share == pytest.approx(np.sqrt(2) / (np.sqrt(6) + np.sqrt(2)), abs=0.04)


def test_learning_lowers_the_loss() -> None:
    losses: list[float] = []
    learn(EXAMPLES, 64 * 6, 0, lambda _, loss: losses.append(loss))
    assert len(losses) == 6
    assert losses[-1] < losses[0] - 0.1


def test_learning_is_repeatable() -> None:
    first, second = (learn(EXAMPLES, 64, 3, lambda _step, _loss: None) for _ in range(2))
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
