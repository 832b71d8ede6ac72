"""`python -m workers.commands.train`, from a folder to a model that draws."""

import json
import os
import subprocess
import sys
from pathlib import Path

from core.diffusion.model import load_model
from core.errors import EXIT_BAD_REQUEST

from .conftest import SPRITES, write


def train(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workers.commands.train", *arguments]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=alone)


def test_training_gives_a_model_that_draws_and_goes_on(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    write(data, SPRITES[:11])
    options = [str(data), "--out", str(out), "--plain", "--size", "16", "--batch", "2",
               "--held-out", "0.1", "--name", "tiny"]  # fmt: skip
    first = train(*options, "--images", "2")
    assert first.returncode == 0, first.stderr
    look = json.loads(first.stdout.splitlines()[-1])
    assert look["event"] == "look"
    assert look["held_out_loss"] > 0
    assert (out / look["sheet"]).is_file()

    second = train(*options, "--images", "4", "--resume")
    assert second.returncode == 0, second.stderr
    model = load_model(out / "model.safetensors")
    assert model.spec.name == "tiny"
    assert model.spec.trained.startswith("4 images")
    assert model.spec.classes == ("potion", "sword")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    failed = train(str(tmp_path / "none"), "--out", str(tmp_path / "run"))
    assert failed.returncode == EXIT_BAD_REQUEST
    assert "metadata.csv" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_size_that_the_network_cannot_halve_is_refused(tmp_path: Path) -> None:
    failed = train(str(tmp_path), "--out", str(tmp_path / "run"), "--size", "20")
    assert failed.returncode == EXIT_BAD_REQUEST
    assert "multiples of 8" in failed.stderr
