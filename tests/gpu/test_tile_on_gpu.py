"""On a GPU, too, a sprite is the same bytes whatever it is rendered with."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core import weights
from core.diffusion.device import facts, pick_device, tile_size
from core.diffusion.guidance import Guided
from core.diffusion.model import Model, load_model
from core.diffusion.noise import SampleNoise
from core.diffusion.philox import OnCpu, OnDevice
from core.diffusion.samplers import SAMPLERS
from core.diffusion.tile import render_tile
from core.request.plan import noise_key
from core.request.spec import Sampling

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
SAMPLING = Sampling(sampler="dpmpp_2m", steps=12, guidance=2.0)


@pytest.fixture(scope="module", params=["torch's kernels", "compiled"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    kernels = tmp_path_factory.mktemp("kernels") if request.param == "compiled" else None
    return load_model(weights.bundled(), pick_device(), kernels)


def render(model: Model, rows: list[int]) -> NDArray[np.uint8]:
    length = model.spec.context_length
    contexts = np.eye(length, dtype=np.float32)[[row % len(model.spec.classes) for row in rows]]
    keys = [noise_key(0, "gpu", row) for row in rows]
    return render_tile(model, contexts, None, keys, SAMPLING, on_step=lambda _: None, alpha="soft")


def test_sprite_does_not_depend_on_what_is_rendered_beside_it(model: Model) -> None:
    rows = list(range(tile_size(model.device)))
    together, backwards = render(model, rows), render(model, rows[::-1])
    assert np.array_equal(together, backwards[::-1])
    assert np.array_equal(together[9], render(model, [9])[0])


def test_sprites_are_the_same_again(model: Model) -> None:
    rows = list(range(tile_size(model.device)))
    assert np.array_equal(render(model, rows), render(model, rows))


def test_kernels_that_are_compiled_again_draw_the_same(tmp_path: Path) -> None:
    rows = list(range(tile_size(pick_device())))

    def drawn(by: Path) -> NDArray[np.uint8]:
        torch.compiler.reset()
        return render(load_model(weights.bundled(), pick_device(), by), rows)

    assert np.array_equal(drawn(tmp_path / "once"), drawn(tmp_path / "again"))


def test_loop_never_waits_for_the_gpu(model: Model) -> None:
    keys = [noise_key(0, "gpu", row) for row in range(tile_size(model.device))]
    noise = SampleNoise.of(model.spec, keys, model.device)
    context = torch.zeros(len(keys), model.spec.context_length, device=model.device)
    context[:, 0] = 1
    denoise = Guided(model.denoiser, 2.0, interval=(0.1, 10.0))
    x, sigmas = noise.initial() * 20, [20.0, 5.0, 1.0, 0.05, 0.0]
    with torch.inference_mode():
        for sampler in SAMPLERS.values():
            sampler(denoise, x, sigmas, context, noise=noise.step, on_step=lambda _: None)
            torch.cuda.set_sync_debug_mode("error")
            try:
                sampler(denoise, x, sigmas, context, noise=noise.step, on_step=lambda _: None)
            finally:
                torch.cuda.set_sync_debug_mode("default")


def test_noise_is_drawn_of_the_same_bits() -> None:
    words = np.frombuffer(b"".join(noise_key(0, "gpu", row) for row in range(8)), "<u8")
    keys = words.reshape(8, 2)
    here, there = OnCpu(keys, None), OnDevice(keys, pick_device())
    for block in (0, 1, 2, 40):
        assert torch.equal(there(block, 4096).cpu(), here(block, 4096))


def test_facts_name_the_gpu() -> None:
    assert facts(compiled=False)["device"] == torch.cuda.get_device_name()
    assert facts(compiled=False)["dtype"] == "bfloat16"
