"""A sprite is the same bytes whatever it is rendered with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core import weights
from core.diffusion.device import tile_size
from core.diffusion.model import Model, load_model
from core.diffusion.tile import render_tile
from core.errors import UsageError
from core.request.plan import noise_key
from core.request.spec import Sampling
from core.sprites.alpha import Alpha

TILE = tile_size(torch.device("cpu"))
KEYS = [noise_key(5, "context", index) for index in range(TILE)]
CONTEXTS = np.eye(4, dtype=np.float32)[np.arange(TILE) % 4]
PLAIN = Sampling(sampler="dpmpp_2m", steps=4, guidance=2.0)


def render(
    model: Model,
    rows: Sequence[int],
    sampling: Sampling = PLAIN,
    negatives: NDArray[np.float32] | None = None,
    alpha: Alpha = "soft",
) -> NDArray[np.uint8]:
    picked = list(rows)
    return render_tile(
        model, CONTEXTS[picked], negatives, [KEYS[row] for row in picked], sampling,
        on_step=lambda _: None, alpha=alpha,
    )  # fmt: skip


@pytest.mark.parametrize(
    "sampling",
    [
        PLAIN,
        Sampling(sampler="ddpm", steps=5, guidance=1.5),
        Sampling(sampler="ddim", steps=5, guidance=1.0, eta=0.7),
        Sampling(sampler="ddim", steps=5, guidance=3.0, eta=0.0, interval=(0.1, 5.0)),
    ],
)
def test_sprite_does_not_depend_on_what_is_rendered_beside_it(
    small_model: Model, sampling: Sampling
) -> None:
    together = render(small_model, range(TILE), sampling)
    backwards = render(small_model, range(TILE)[::-1], sampling)
    alone = render(small_model, [9], sampling)
    assert np.array_equal(together, backwards[::-1])
    assert np.array_equal(together[9], alone[0])
    assert len({sprite.tobytes() for sprite in together}) == TILE


@pytest.mark.parametrize("kernels", [False, True])
def test_short_tile_of_the_bundled_model_is_the_same_bytes(kernels: bool, tmp_path: Path) -> None:
    model = load_model(weights.bundled(), kernels=tmp_path if kernels else None)
    contexts = np.eye(model.spec.context_length, dtype=np.float32)[np.arange(TILE) % 20]
    sampling = Sampling(sampler="dpmpp_2m_sde", steps=2, guidance=2.0)

    def drawn(count: int) -> NDArray[np.uint8]:
        given = (contexts[:count], None, KEYS[:count], sampling)
        return render_tile(model, *given, on_step=lambda _: None, alpha="soft")

    sprites = drawn(TILE)
    for count in range(32, TILE, 32):
        assert np.array_equal(drawn(count), sprites[:count])
    assert np.array_equal(drawn(5), sprites[:5])


def test_sprite_does_not_depend_on_the_number_of_threads(small_model: Model) -> None:
    one = render(small_model, range(TILE))
    torch.set_num_threads(2)
    assert np.array_equal(one, render(small_model, range(TILE)))


def test_no_negative_beside_one_that_has_is_as_no_negative_alone(small_model: Model) -> None:
    negatives = np.zeros((TILE, 4), dtype=np.float32)
    negatives[3, 1] = 1
    mixed, plain = (render(small_model, range(TILE), negatives=each) for each in (negatives, None))
    same = [np.array_equal(a, b) for a, b in zip(mixed, plain, strict=True)]
    assert [row for row, equal in enumerate(same) if not equal] == [3]


def test_words_beside_a_class_have_a_guidance_of_their_own(small_model: Model) -> None:
    classes = len(small_model.spec.classes)
    worded, negatives = CONTEXTS.copy(), np.zeros((TILE, 4), dtype=np.float32)
    worded[:8] = 0
    worded[:8, 0] = worded[:8, classes] = 1
    negatives[:8, 0] = 1  # away from the class alone
    negatives[8:16, 1] = 1  # away from something else

    def drawn(**asked: float) -> NDArray[np.uint8]:
        sampling = PLAIN.model_copy(update=asked)
        return render_tile(
            small_model, worded, negatives, KEYS, sampling, on_step=lambda _: None, alpha="soft"
        )

    both, by_class, by_words = drawn(text_guidance=5.0), drawn(), drawn(guidance=5.0)
    assert np.array_equal(both[:8], by_words[:8])
    assert np.array_equal(both[8:], by_class[8:])
    assert not np.array_equal(by_words[:8], by_class[:8])


def test_context_changes_the_sprite(small_model: Model) -> None:
    keys, sampling = [KEYS[0], KEYS[0]], PLAIN
    sprites = render_tile(
        small_model, CONTEXTS[:2], None, keys, sampling, on_step=lambda _: None, alpha="soft"
    )
    assert not np.array_equal(sprites[0], sprites[1])


def test_every_step_is_told(small_model: Model) -> None:
    steps: list[int] = []
    render_tile(small_model, CONTEXTS[:1], None, KEYS[:1], PLAIN, on_step=steps.append)
    assert steps == [0, 1, 2, 3]


def test_binary_sprites_have_no_half_transparent_pixel(small_model: Model) -> None:
    sprites = render(small_model, range(8), alpha="binary")
    assert sprites.shape == (8, 16, 16, 4)
    assert set(np.unique(sprites[..., 3])) <= {0, 255}


@pytest.mark.parametrize("count", [0, TILE + 1])
def test_a_tile_of_the_wrong_size_is_refused(small_model: Model, count: int) -> None:
    contexts, keys = np.zeros((count, 4), np.float32), [KEYS[0]] * count
    with pytest.raises(UsageError, match=f"1 to {TILE} sprites, not {count}"):
        render_tile(small_model, contexts, None, keys, PLAIN, on_step=lambda _: None)


def test_sampling_with_gaps_is_refused(small_model: Model) -> None:
    with pytest.raises(UsageError, match="Plan the request"):
        render(small_model, [0], Sampling(sampler="ddim"))
