"""Weights as files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core import weights
from core.diffusion.device import compute_dtype, facts, numerics
from core.diffusion.model import build, load_model, save_model
from core.diffusion.noise_prediction import NoisePrediction
from core.errors import ModelError, StoreError
from core.weights.spec import ModelSpec

from .conftest import CLASSES, WORDS, awake, course_spec, learnt, small_spec


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
    rounded.draw_only(model.device, compute_dtype(model.device))
    x, sigma, context = torch.randn(2, 4, 16, 16), torch.tensor([0.1, 9.0]), torch.eye(4)[:2]
    with torch.no_grad():
        assert torch.equal(model.denoiser(x, sigma, context), rounded(x, sigma, context))


def test_a_model_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "full" / "model.safetensors"
    with pytest.raises(StoreError, match=r"model\.safetensors could not be written"):
        save_model(place, small_spec(), build(small_spec()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("words", [WORDS, ()])
def test_a_noise_predicting_model_is_loaded_as_it_was_saved(
    tmp_path: Path, channels: int, words: tuple[str, ...]
) -> None:
    spec = course_spec(channels=channels, words=words, classes=CLASSES if words else ())
    torch.manual_seed(1)
    denoiser, rounded = awake(build(spec)).eval(), build(spec)
    assert isinstance(denoiser, NoisePrediction)
    learnt(denoiser.unet)
    path = tmp_path / "model.safetensors"
    save_model(path, spec, denoiser)
    model = load_model(path)
    assert model.spec == spec
    rounded.load_state_dict(
        {
            name: value.half().float() if value.is_floating_point() else value
            for name, value in denoiser.state_dict().items()
        }
    )
    rounded.draw_only(model.device, compute_dtype(model.device))
    x, sigma = torch.randn(2, channels, 16, 16), torch.tensor([0.1, 0.4])
    context = torch.eye(spec.context_length)[:2] if words else torch.zeros(2, 0)
    with torch.no_grad():
        drawn, whole = model.denoiser(x, sigma, context), denoiser(x, sigma, context)
        assert torch.equal(drawn, rounded(x, sigma, context))
        torch.testing.assert_close(drawn, whole, atol=0.05, rtol=0.05)


def test_unconditional_unet_has_no_context_layer(tmp_path: Path) -> None:
    values = small_spec().model_dump() | {"classes": (), "words": ()}
    values["unet"] = values["unet"] | {"context": 0}
    spec = ModelSpec.model_validate(values)
    path = tmp_path / "model.safetensors"
    save_model(path, spec, awake(build(spec)))
    drawn = load_model(path).denoiser(torch.zeros(2, 4, 16, 16), torch.ones(2), torch.zeros(2, 0))
    assert drawn.shape == (2, 4, 16, 16)


@pytest.mark.parametrize(
    "changes",
    [
        {"betas": None}, {"network": "unet"}, {"network": "transformer"},
        {"defaults": {"sampler": "ddim", "steps": 21, "guidance": 1.0}},
    ],
)  # fmt: skip
def test_a_network_that_contradicts_its_schedule_is_refused(
    small_file: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    spec = course_spec().model_dump() | changes
    path = tmp_path / "mixed.safetensors"
    save_file(load_file(small_file), path, metadata={weights.METADATA_KEY: json.dumps(spec)})
    with pytest.raises(ModelError, match=r"mixed\.safetensors is not a Spritemill model"):
        weights.read_spec(path)


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
        {"channels": 4, "context": 4, "widths": [16, 32, 32]},
        {"channels": 4, "context": 4, "widths": [16, 32, 32], "group": 16, "depth": 9},
        {"channels": 3, "context": 4, "widths": [16, 32, 32], "group": 16},
        {"channels": 4, "context": 5, "widths": [16, 32, 32], "group": 16},
        {"channels": 4, "context": 4, "widths": [16, 32, 40], "group": 16},
        {"channels": 4, "context": 4, "widths": [16, 32, 32], "group": 0},
    ],
)
def test_a_network_of_another_version_is_refused(unet: dict[str, object]) -> None:
    spec = ModelSpec.model_validate({**small_spec().model_dump(), "unet": unet})
    with pytest.raises(ModelError, match="unet = "):
        build(spec)


def test_a_network_for_another_size_is_refused() -> None:
    spec = ModelSpec.model_validate({**course_spec().model_dump(), "size": 20})
    with pytest.raises(ModelError, match=r"size differ from the model's, \(3, 4, 20\)"):
        build(spec)


def test_the_bundled_model_is_whole_and_described() -> None:
    spec = load_model(weights.bundled()).spec
    card = weights.bundled().with_suffix(".md").read_text(encoding="utf-8")
    assert spec.name == weights.bundled().stem
    assert weights.sha256(weights.bundled()) in card
    assert f"{spec.defaults.steps} steps of `{spec.defaults.sampler}`" in card
    assert weights.bundled().stat().st_size < 20 * 2**20


def test_facts_name_everything_that_decides_the_bytes() -> None:
    found = facts(compiled=False)
    assert set(found) == {"device", "dtype", "torch", "tile", "renderer"}
    assert json.loads(json.dumps(found)) == found
    assert found == facts(compiled=False)


def test_cpus_with_other_arithmetic_are_of_other_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for able in (False, True):
        cpu = {"cpu_name": "Intel", "avx512_bf16": True, "amx_bf16": able}
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda cpu=cpu: cpu)
        names.add(numerics(torch.device("cpu"), torch.bfloat16, 32)["device"])
    assert len(names) == 2


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
