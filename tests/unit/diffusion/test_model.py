"""Weights as files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core import weights
from core.diffusion.device import compute_dtype, facts
from core.diffusion.model import build, load_model, save_model
from core.errors import ModelError
from core.weights.spec import ModelSpec

from .conftest import awake, small_spec


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    spec = small_spec()
    torch.manual_seed(1)
    denoiser = awake(build(spec))
    path = tmp_path / "model.safetensors"
    save_model(path, spec, denoiser)
    model = load_model(path)
    assert model.spec == spec
    assert model.sha256 == weights.sha256(path)
    rounded = build(spec)
    rounded.load_state_dict({k: v.half().float() for k, v in denoiser.state_dict().items()})
    x, sigma, context = torch.randn(2, 4, 16, 16), torch.tensor([0.1, 9.0]), torch.eye(4)[:2]
    with torch.no_grad():
        torch.testing.assert_close(
            model.denoiser(x, sigma, context), rounded(x, sigma, context), atol=1e-5, rtol=1e-5
        )


def test_saving_again_gives_the_same_bytes(small_file: Path, tmp_path: Path) -> None:
    spec = weights.read_spec(small_file)
    denoiser = build(spec)
    denoiser.load_state_dict({k: v.float() for k, v in load_file(small_file).items()})
    save_model(tmp_path / "again.safetensors", spec, denoiser)
    assert weights.sha256(tmp_path / "again.safetensors") == weights.sha256(small_file)
    assert [path.name for path in tmp_path.iterdir()] == ["again.safetensors"]


def test_weights_can_be_read_by_other_users(small_file: Path) -> None:
    assert small_file.stat().st_mode & 0o444 == 0o444


def test_spec_is_read_without_torch(small_file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from core import weights;"
        "print(weights.read_spec(Path(sys.argv[1])).name, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(small_file)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.split() == ["small", "False"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 8,
        b"\xff" * 64,
        (100).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"{\xff\xfe}",
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"picture\.safetensors is not a Spritemill model"):
        weights.read_spec(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        weights.read_spec(tmp_path / "none.safetensors")


def test_weights_that_do_not_fit_their_header_are_refused(small_file: Path, tmp_path: Path) -> None:
    tensors = load_file(small_file)
    tensors.popitem()
    spec = weights.read_spec(small_file).model_dump_json()
    path = tmp_path / "short.safetensors"
    save_file(tensors, path, metadata={weights.METADATA_KEY: spec})
    with pytest.raises(ModelError, match="does not hold the network"):
        load_model(path)


def test_a_truncated_file_is_refused(small_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(small_file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="does not hold the network"):
        load_model(path)


@pytest.mark.parametrize(
    "unet",
    [
        {},
        {"channels": 4, "context": 4, "widths": [16, 32, 32], "depth": 9},
        {"channels": 3, "context": 4, "widths": [16, 32, 32]},
        {"channels": 4, "context": 5, "widths": [16, 32, 32]},
    ],
)
def test_a_network_of_another_version_is_refused(unet: dict[str, object]) -> None:
    spec = ModelSpec.model_validate({**small_spec().model_dump(), "unet": unet})
    with pytest.raises(ModelError, match="unet = "):
        build(spec)


def test_the_bundled_model_is_whole_and_described() -> None:
    spec = load_model(weights.bundled()).spec
    card = weights.bundled().with_suffix(".md").read_text(encoding="utf-8")
    assert spec.name == weights.bundled().stem
    assert weights.sha256(weights.bundled()) in card
    assert f"{spec.defaults.steps} steps of `{spec.defaults.sampler}`" in card
    assert weights.bundled().stat().st_size < 20 * 2**20


def test_facts_name_everything_that_decides_the_bytes() -> None:
    found = facts()
    assert set(found) == {"device", "dtype", "torch", "tile", "renderer"}
    assert json.loads(json.dumps(found)) == found
    assert found == facts()


def test_cpu_without_bfloat16_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for able, dtype in ((False, torch.float32), (True, torch.bfloat16)):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda able=able: {"avx512_bf16": able})
        assert compute_dtype(torch.device("cpu")) == dtype


def test_half_precision_network_draws_nearly_the_same(small_file: Path) -> None:
    whole, half = build(small_spec()), build(small_spec())
    tensors = {name: value.float() for name, value in load_file(small_file).items()}
    whole.load_state_dict(tensors)
    half.load_state_dict(tensors)
    half.to(torch.bfloat16)
    x, sigma, context = torch.randn(2, 4, 16, 16), torch.tensor([0.05, 5.0]), torch.eye(4)[:2]
    with torch.no_grad():
        drawn, expected = half(x, sigma, context), whole(x, sigma, context)
    assert drawn.dtype == torch.float32
    torch.testing.assert_close(drawn, expected, atol=0.05, rtol=0.05)
