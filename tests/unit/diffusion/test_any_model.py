"""Models of any channels, schedule and length of context, from the request to the pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from core import weights
from core.diffusion.guidance import Guided
from core.diffusion.model import Model, build, load_model, save_model
from core.diffusion.noise import SampleNoise
from core.diffusion.samplers import SAMPLERS
from core.diffusion.tile import render_tile
from core.request.contexts import dense
from core.request.load import check
from core.request.plan import noise_key, plan
from core.request.spec import Sampling
from core.weights.spec import ModelSpec

from .conftest import CLASSES, awake, course_spec, small_spec

KEYS = [noise_key(5, "context", index) for index in range(4)]
META = torch.device("meta")


def made(folder: Path, spec: ModelSpec) -> Model:
    torch.manual_seed(0)
    path = folder / "model.safetensors"
    save_model(path, spec, awake(build(spec)))
    return load_model(path)


def render(
    model: Model,
    sampling: Sampling,
    contexts: NDArray[np.float32] | None = None,
    keys: Sequence[bytes] = KEYS,
) -> NDArray[np.uint8]:
    if contexts is None:
        contexts = np.zeros((4, model.spec.context_length), dtype=np.float32)
    return render_tile(
        model, contexts, None, keys[: len(contexts)], sampling, lambda _: None, alpha="soft"
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_sampler_draws_models_of_any_channels(
    tmp_path: Path, channels: int, sampler: str
) -> None:
    model = made(tmp_path, course_spec(channels=channels))
    sampling = Sampling.model_validate({"sampler": sampler, "steps": 5, "guidance": 2.0})
    sprites = render(model, sampling)
    assert sprites.shape == (4, 16, 16, 4)
    assert len({sprite.tobytes() for sprite in sprites}) == 4
    if channels < 4:
        assert (sprites[..., 3] == 255).all()
    if channels == 1:
        assert (sprites[..., :1] == sprites[..., :3]).all()


def test_step_size_walks_other_times_than_as_many_even_steps(tmp_path: Path) -> None:
    model = made(tmp_path, course_spec())
    by_size = Sampling(sampler="ddim", steps=3, step_size=9, guidance=1.0)
    even = Sampling(sampler="ddim", steps=3, guidance=1.0)
    assert not np.array_equal(render(model, by_size), render(model, even))


def test_unconditional_model_draws(tmp_path: Path) -> None:
    model = made(tmp_path, course_spec(classes=(), words=(), channels=1))
    request = check({
        "samples": 4, "contexts": [{"unconditional": True}],
    })  # fmt: skip
    asked = plan(request, model.spec)
    assert (asked.total, asked.request.pixels.alpha) == (4, "opaque")
    assert render(model, asked.request.sampling).shape == (4, 16, 16, 4)


def test_vectors_of_over_a_thousand_numbers_are_asked_for_and_drawn(tmp_path: Path) -> None:
    words = tuple(f"w{number}" for number in range(1098))
    model = made(tmp_path, course_spec(words=words))
    length = model.spec.context_length
    assert length == 1100
    vectors = np.random.default_rng(3).normal(0, 1, (2, length)).round(3)
    request = check({
        "samples": 2, "contexts": [{"vector": vector.tolist()} for vector in vectors],
        "pixels": {"alpha": "opaque"},
    })  # fmt: skip
    asked = plan(request, model.spec)
    samples = list(asked.samples(asked.shard(0)))
    contexts = np.stack([dense(sample.context.terms, length) for sample in samples])
    np.testing.assert_allclose(contexts, vectors.repeat(2, axis=0), rtol=1e-6)
    sprites = render(model, asked.request.sampling, contexts)
    swapped = render(model, asked.request.sampling, contexts[::-1].copy())
    assert not np.array_equal(sprites, swapped)


def test_mixtures_are_drawn_as_given_and_not_normalised(tmp_path: Path) -> None:
    model = made(tmp_path, course_spec(words=()))
    request = check({
        "samples": 1,
        "contexts": [{"mixture": {CLASSES[0]: 1, CLASSES[1]: 0.6}}, {"class": CLASSES[0]}],
        "pixels": {"alpha": "opaque"},
    })  # fmt: skip
    asked = plan(request, model.spec)
    contexts = np.stack([dense(c.terms, 2) for c, _ in asked.contexts()])
    assert contexts.tolist() == [[1, np.float32(0.6)], [1, 0]]
    one, other = render(model, asked.request.sampling, contexts, [KEYS[0]] * 2)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "dpmpp_2m_sde"])
def test_sprite_of_the_bundled_model_hardly_depends_on_the_tile_size(
    monkeypatch: pytest.MonkeyPatch, sampler: Literal["dpmpp_2m", "dpmpp_2m_sde"]
) -> None:
    """In tiles of one size it is the same bits; tiles of another size may round otherwise."""
    model = load_model(weights.bundled())
    contexts = np.eye(model.spec.context_length, dtype=np.float32)[:4]
    sampling = Sampling(sampler=sampler, steps=4, guidance=3.0)
    whole = render(model, sampling, contexts).astype(int)
    for size in (4, 7):
        monkeypatch.setattr("core.diffusion.tile.tile_size", lambda device, size=size: size)
        assert np.abs(render(model, sampling, contexts).astype(int) - whole).max() <= 1


@pytest.mark.parametrize(
    ("spec", "embedding"),
    [(small_spec(), "unet.level1"), (course_spec(), "unet.timeembed1.embed")],
    ids=["unet", "context-unet"],
)
def test_a_level_is_embedded_for_the_first_tile_only(
    tmp_path: Path, spec: ModelSpec, embedding: str
) -> None:
    model, asked = made(tmp_path, spec), []
    assert isinstance(model.denoiser, nn.Module)
    model.denoiser.get_submodule(embedding).register_forward_hook(lambda *_: asked.append(1))
    sampling = Sampling(sampler="ddim", steps=3, guidance=2.0)
    first = render(model, sampling)
    assert len(asked) == 3
    assert np.array_equal(render(model, sampling), first)
    assert len(asked) == 3


@pytest.mark.parametrize("spec", [small_spec(), course_spec()], ids=["unet", "context-unet"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_loop_asks_the_device_for_no_value(spec: ModelSpec, sampler: str) -> None:
    """The tensors of the meta device have none, so to ask would be an error: what makes a GPU wait
    shows without one.
    """
    denoiser, noise = build(spec), SampleNoise.of(spec, KEYS, META)
    denoiser.draw_only(META, torch.bfloat16)
    guided = Guided(denoiser, 2.0, interval=(0.1, 10.0))
    context, levels = torch.zeros(4, spec.context_length, device=META), [20.0, 5.0, 1.0, 0.05, 0.0]
    with torch.inference_mode():
        x = noise.initial() * levels[0]
        drawn = SAMPLERS[sampler](
            guided, x, levels, context, noise=noise.step, on_step=lambda _: None
        )
    assert drawn.device == META
    assert drawn.shape == x.shape
    with pytest.raises(RuntimeError, match="meta"):
        drawn.sum().item()
