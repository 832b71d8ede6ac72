"""The course's files: a state dict that torch.save wrote."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from core.diffusion.context_unet import ContextUnet, ContextUNetConfig
from core.diffusion.course import SHORTCUT, load_course
from core.diffusion.model import load_model
from core.diffusion.tile import render_tile
from core.errors import ModelError
from core.request.spec import Sampling

from .conftest import learnt

CONFIG = ContextUNetConfig(channels=3, features=16, context=7, size=20)


def course_state() -> dict[str, Tensor]:
    """As the course saves it: without the shortcut that it draws anew at each call."""
    state = learnt(ContextUnet(CONFIG)).state_dict()
    return {name: value for name, value in state.items() if not name.startswith(SHORTCUT)}


def saved(folder: Path, state: object) -> Path:
    path = folder / "context_model.pth"
    torch.save(state, path)
    return path


def test_a_courses_file_loads_whole_with_its_sizes(tmp_path: Path) -> None:
    state = course_state()
    network = load_course(saved(tmp_path, state))
    assert network.config == CONFIG
    loaded = network.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
    assert set(loaded) - set(state) == {SHORTCUT + "weight", SHORTCUT + "bias"}


def test_the_shortcut_is_the_same_at_every_loading(tmp_path: Path) -> None:
    path = saved(tmp_path, course_state())
    torch.manual_seed(1)
    one = load_course(path).state_dict()
    torch.manual_seed(2)
    other = load_course(path).state_dict()
    assert torch.equal(one[SHORTCUT + "weight"], other[SHORTCUT + "weight"])
    assert 0 < float(one[SHORTCUT + "weight"].abs().max()) <= 3**-0.5


def test_a_shortcut_that_the_file_has_is_kept(tmp_path: Path) -> None:
    whole = learnt(ContextUnet(CONFIG)).state_dict()
    loaded = load_course(saved(tmp_path, whole)).state_dict()
    assert torch.equal(loaded[SHORTCUT + "bias"], whole[SHORTCUT + "bias"])


def test_keys_that_differ_are_named(tmp_path: Path) -> None:
    state = course_state()
    del state["up1.model.0.bias"]
    state["attention.weight"] = torch.zeros(1)
    state["out.3.bias"] = torch.zeros(4)
    with pytest.raises(ModelError) as caught:
        load_course(saved(tmp_path, state))
    assert str(caught.value) == (
        "context_model.pth differs from ContextUnet; missing: up1.model.0.bias; "
        "unexpected: attention.weight; of another shape: out.3.bias (4,), not (3,)."
    )


def test_many_keys_that_differ_are_counted(tmp_path: Path) -> None:
    state = course_state() | {f"extra.{number}": torch.zeros(1) for number in range(9)}
    with pytest.raises(ModelError, match=r"extra\.4 and 4 more"):
        load_course(saved(tmp_path, state))


@pytest.mark.parametrize("state", [{}, {"init_conv.conv1.0.weight": torch.zeros(3)}])
def test_another_network_is_refused(tmp_path: Path, state: dict[str, Tensor]) -> None:
    with pytest.raises(ModelError, match="no ContextUnet"):
        load_course(saved(tmp_path, state))


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}])
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(ModelError, match="no state dict"):
        load_course(saved(tmp_path, content))


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this must not run",)


def test_code_in_a_file_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match="is no file of weights"):
        load_course(saved(tmp_path, Hostile()))
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"picture\.pth is no file of weights"):
        load_course(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        load_course(tmp_path / "none.pth")


def test_example_makes_a_model_of_a_courses_file_that_draws(tmp_path: Path) -> None:
    weights = saved(tmp_path, course_state())
    script = Path(__file__).parents[3] / "examples" / "course-weights.py"
    command = [sys.executable, str(script), str(weights), str(tmp_path / "out")]
    subprocess.run([*command, "--classes", "a,b,c,d,e,f,g"], check=True)
    model = load_model(tmp_path / "out" / "model.safetensors")
    sprites = render_tile(
        model, np.eye(7, dtype=np.float32)[:2], None, [bytes(16), bytes(range(16))],
        Sampling(sampler="ddim", steps=3, guidance=1.0), lambda _: None, alpha="opaque",
    )  # fmt: skip
    assert sprites.shape == (2, 20, 20, 4)
    subprocess.run(command, check=True)  # without names the numbers are told apart by number
    assert load_model(tmp_path / "out" / "model.safetensors").spec.classes[0] == "c0"
    wrong = subprocess.run([*command, "--classes", "a,b"], capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "names 2; the network has 7" in wrong.stderr


def test_example_of_the_extra_noise_draws_its_picture(tmp_path: Path) -> None:
    script = Path(__file__).parents[3] / "examples" / "without-extra-noise.py"
    picture = tmp_path / "noise.png"
    subprocess.run([sys.executable, str(script), str(picture), "--steps", "2"], check=True)
    with Image.open(picture) as image:
        assert min(image.size) > 200
