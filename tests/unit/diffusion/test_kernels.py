"""Kernels that are compiled for a network draw what torch's own do, and keep what those promise."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core import processes, weights
from core.diffusion.device import compiler, facts, tile_size
from core.diffusion.model import Model, load_model
from core.diffusion.tile import render_tile
from core.errors import UsageError
from core.request.load import parse
from core.request.plan import Plan, Shard, noise_key
from core.request.spec import Sampling
from workers.render import Unwatched, render_shard
from workers.renderer import DiffusionRenderer

# torch.compile calls a function of torch's own that torch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

CPU = torch.device("cpu")
SAMPLING = Sampling(sampler="dpmpp_2m_sde", steps=6, guidance=2.0, interval=(0.1, 10.0))
REQUEST = {"samples": 3, "contexts": [{"class": "potion"}, {"text": "red sword"}]}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def compiled(small_file: Path, home: Path) -> Model:
    torch.set_num_threads(1)  # as each test does here; kernels are made for as many threads
    return load_model(small_file, kernels=home / "cache" / "kernels")


def drawn(model: Model, rows: list[int]) -> NDArray[np.uint8]:
    contexts = np.eye(model.spec.context_length, dtype=np.float32)[[row % 4 for row in rows]]
    keys = [noise_key(0, "kernels", row) for row in rows]
    return render_tile(model, contexts, None, keys, SAMPLING, on_step=lambda _: None, alpha="soft")


@torch.inference_mode()
def test_it_draws_as_torchs_own_kernels_do_but_for_rounding(
    compiled: Model, small_model: Model
) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2 * tile_size(CPU), 4, 16, 16, generator=draw)
    sigma = torch.rand(len(x), generator=draw) * 5 + 0.1
    context = torch.eye(4).repeat(len(x) // 4, 1)
    apart = compiled.denoiser(x, sigma, context) - small_model.denoiser(x, sigma, context)
    assert apart.abs().max() < 0.05
    assert apart.std() < 0.005


def test_sprite_does_not_depend_on_what_is_rendered_beside_it(compiled: Model) -> None:
    rows = list(range(tile_size(CPU)))
    together, backwards = drawn(compiled, rows), drawn(compiled, rows[::-1])
    assert np.array_equal(together, backwards[::-1])
    assert np.array_equal(together[9], drawn(compiled, [9])[0])


def test_another_process_finds_the_kernels_and_renders_the_same(
    compiled: Model, small_file: Path, home: Path
) -> None:
    kernels = set(home.rglob("*.so"))
    assert kernels
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
    assert set(home.rglob("*.so")) == kernels


def test_compiler_that_fails_is_told_by_one_line(small_file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\n[ $1 = -dumpfullversion ] && echo 12 || exit 1\n")
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
    assert "no kernels could be made for small" in told.stderr
    assert "Traceback" not in told.stderr


def test_facts_name_the_compiler() -> None:
    found = facts(compiled=True)
    assert found == facts(compiled=False) | {"compiler": compiler(CPU)}
    assert any(digit.isdigit() for digit in found["compiler"])


def test_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UsageError, match=r"no C\+\+ compiler no-such-compiler here. Install g\+\+"):
        facts(compiled=True)
