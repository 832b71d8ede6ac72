"""Kernels that are compiled here draw what torch's own do, and keep what those promise."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch._inductor import config as inductor

from core import processes, weights
from core.diffusion.device import facts, tile_size
from core.diffusion.kernels import cuda
from core.diffusion.model import Model, build, load_model, save_model
from core.diffusion.noise_prediction import NoisePrediction
from core.diffusion.tile import render_tile
from core.diffusion.torus import on_torus
from core.errors import ModelError
from core.request.load import parse
from core.request.plan import Plan, Shard, noise_key
from core.request.spec import Sampling
from workers.render import Unwatched, render_shard
from workers.renderer import DiffusionRenderer

from .conftest import awake, course_spec, learnt

CPU = torch.device("cpu")
SAMPLING = Sampling(sampler="dpmpp_2m_sde", steps=6, guidance=2.0, interval=(0.1, 10.0))
REQUEST = {"samples": 3, "contexts": [{"class": "potion"}, {"text": "red sword"}]}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def kernels(home: Path) -> Path:
    return home / "cache" / "kernels"


@pytest.fixture(scope="module")
def compiled(small_file: Path, kernels: Path) -> Model:
    return load_model(small_file, kernels=kernels)


@pytest.fixture(scope="module", params=["unet", "context-unet"])
def file(
    request: pytest.FixtureRequest, small_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if request.param == "unet":
        return small_file
    spec = course_spec(channels=4)
    denoiser = build(spec)
    assert isinstance(denoiser, NoisePrediction)
    torch.manual_seed(0)
    learnt(awake(denoiser).unet)
    path = tmp_path_factory.mktemp("course") / "model.safetensors"
    save_model(path, spec, denoiser)
    return path


@pytest.fixture(scope="module")
def pair(file: Path, kernels: Path) -> tuple[Model, Model]:
    """A model with torch's kernels, and with its own."""
    return load_model(file), load_model(file, kernels=kernels)


def drawn(model: Model, rows: list[int]) -> NDArray[np.uint8]:
    contexts = np.eye(model.spec.context_length, dtype=np.float32)[[row % 4 for row in rows]]
    keys = [noise_key(0, "kernels", row) for row in rows]
    return render_tile(model, contexts, None, keys, SAMPLING, on_step=lambda _: None, alpha="soft")


@torch.inference_mode()
@pytest.mark.parametrize("sides", [None, "both"])
def test_it_draws_as_torchs_own_kernels_do_but_for_rounding(
    pair: tuple[Model, Model], sides: Literal["both"] | None
) -> None:
    plain, own = [on_torus(each, sides) if sides else each for each in pair]
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2 * tile_size(CPU), 4, 16, 16, generator=draw)
    sigma = torch.rand(len(x), generator=draw) * 5 + 0.1
    context = torch.eye(4).repeat(len(x) // 4, 1)
    apart = own.denoiser(x, sigma, context) - plain.denoiser(x, sigma, context)
    apart /= sigma.clamp(min=1).view(-1, 1, 1, 1)
    assert 0 < apart.abs().max() < 0.05
    assert apart.std() < 0.005


@pytest.mark.parametrize("sides", [None, "both"])
def test_sprite_does_not_depend_on_what_is_rendered_beside_it(
    pair: tuple[Model, Model], sides: Literal["both"] | None
) -> None:
    own = on_torus(pair[1], sides) if sides else pair[1]
    rows = list(range(tile_size(CPU)))
    together, backwards = drawn(own, rows), drawn(own, rows[::-1])
    assert np.array_equal(together, backwards[::-1])
    assert np.array_equal(together[9], drawn(own, [9])[0])
    torch.set_num_threads(2)
    assert np.array_equal(together, drawn(own, rows))


def test_another_process_finds_the_kernels_and_renders_the_same(
    compiled: Model, small_file: Path, home: Path, kernels: Path
) -> None:
    made = {each: each.stat().st_ino for each in kernels.iterdir()}
    assert made
    shutil.copy(small_file, home / "cache" / f"{compiled.sha256}.safetensors")
    asked = "".join(json.dumps(each) + "\n" for each in (json.dumps(REQUEST), {"shard": [0, 6]}))
    told = subprocess.run(
        processes.python("workers.commands.regenerate", compiled.sha256),
        input=asked.encode(), capture_output=True, check=True,
        env=os.environ | {
            "SPRITEMILL_HOME": str(home), "SPRITEMILL_COMPILE": "yes", "OMP_NUM_THREADS": "1",
        },
    ).stdout  # fmt: skip
    numerics, _, rest = told.partition(b"\n")
    assert json.loads(numerics)["numerics"] == facts(compiled=True)
    plan = Plan(parse(json.dumps(REQUEST)), compiled.spec)
    shard = render_shard(plan, Shard(0, 0, 6), DiffusionRenderer(compiled), Unwatched())
    assert rest.partition(b"\n")[2] == shard.tar
    assert {each: each.stat().st_ino for each in kernels.iterdir()} == made


def test_compiler_that_fails_is_told_by_one_line(small_file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho 'g++: out of order' >&2\nexit 1\n")
    broken.chmod(0o755)
    sha256 = weights.sha256(small_file)
    (tmp_path / "cache").mkdir()
    shutil.copy(small_file, tmp_path / "cache" / f"{sha256}.safetensors")
    told = subprocess.run(
        processes.python("workers.commands.regenerate", sha256),
        input=json.dumps(json.dumps(REQUEST)) + "\n", capture_output=True, text=True, check=False,
        env=os.environ | {
            "SPRITEMILL_HOME": str(tmp_path), "SPRITEMILL_COMPILE": "yes", "CXX": str(broken),
        },
    )  # fmt: skip
    assert told.returncode == 1
    assert "no kernels could be made: g++: out of order" in told.stderr
    assert "Traceback" not in told.stderr
    assert not list((tmp_path / "cache" / "kernels").iterdir())


def test_facts_tell_of_the_kernels() -> None:
    assert facts(compiled=True) == facts(compiled=False) | {"kernels": "fused 2"}


# torch.compile calls a function of torch's own that torch has deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@torch.inference_mode()
def test_network_compiles_for_any_number_of_sprites_at_once(
    small_file: Path, small_model: Model, tmp_path: Path
) -> None:
    """What is compiled for a GPU, as far as a CPU can show it: there, too, it is C++."""
    spec, denoiser = weights.read_spec(small_file), build(small_model.spec)
    denoiser.load_state_dict(load_file(small_file))
    denoiser.eval().requires_grad_(False)
    cuda.compile_network(denoiser, spec, CPU, tmp_path)
    kernels = set(tmp_path.rglob("*.so"))
    for sprites in (3, 2 * tile_size(CPU)):
        x, sigma = torch.randn(sprites, 4, 16, 16), torch.rand(sprites) + 0.1
        context = torch.eye(4)[torch.arange(sprites) % 4]
        apart = denoiser(x, sigma, context) - small_model.denoiser(x, sigma, context)
        assert apart.abs().max() < 0.2
    assert kernels
    assert set(tmp_path.rglob("*.so")) == kernels


def test_kernels_for_a_network_that_cannot_be_made_are_told(
    small_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = weights.read_spec(small_file)
    monkeypatch.setattr(inductor.cpp, "cxx", (str(tmp_path / "nowhere"),))
    torch.compiler.reset()
    with pytest.raises(ModelError, match="no kernels could be made for small") as told:
        cuda.compile_network(build(spec).requires_grad_(False), spec, CPU, tmp_path / "kernels")
    assert "Set `compile` to no" in told.value.remedy
