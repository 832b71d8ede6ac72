"""`spritemill train`, and the model that it makes through the whole program."""

import json
import os
import random
import re
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from core.training.options import Options
from tests.acceptance.conftest import Program, Said

SIZE = 8
EVER = 10**9
LIGHT = ("--network", "context-unet", "--size", str(SIZE), "--batch", "2", "--device", "cpu")
ALONE = {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes of noise."""
    draw = np.random.default_rng(0)
    for name in ("potion", "sword"):
        (tmp_path / "sprites" / name).mkdir(parents=True)
        for number in range(6):
            pixels = draw.integers(0, 256, (SIZE, SIZE, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "sprites" / name / f"{number}.png")
    return tmp_path / "sprites"


def train(spritemill: Program, data: Path, *more: str) -> Said:
    return spritemill("train", data, "--out", "run", *LIGHT, *more, **ALONE)


def test_model_of_a_folder_of_sprites_draws_datasets(spritemill: Program, data: Path) -> None:
    trained = train(spritemill, data, "--images", "4", "--held-out", "0.2", "--name", "forest-8")
    assert trained.code == 0, trained
    assert "2 classes, 0 words; 8x8x4 pixels" in trained.err
    for name in ("model.safetensors", "checkpoint.safetensors", "history.csv", "loss.png"):
        assert (spritemill.folder / "run" / name).is_file()
    assert "spritemill models add run/model.safetensors" in trained.out

    added = spritemill("models", "add", "run/model.safetensors", "--json")
    assert added.json["name"] == "forest-8"
    assert "forest-8" in spritemill("models", "list").out
    request = {"model": "forest-8", "samples": 3, "contexts": [{"class": "sword"}]}
    made = spritemill(
        "run", spritemill.request(json.dumps(request)), "--json", SPRITEMILL_RENDERER="diffusion"
    )
    assert made.code == 0, made
    assert spritemill("verify", made.json["dataset"]).code == 0
    manifest = json.loads((Path(made.json["dataset"]) / "manifest.json").read_text())
    assert manifest["weights"] == added.json["weights"]
    assert spritemill("models", "remove", "forest-8").code == 0
    assert spritemill("models", "show", "forest-8").code == 2


def test_model_of_another_size_than_the_bundled_ones_is_evaluated(
    spritemill: Program, data: Path
) -> None:
    assert train(spritemill, data, "--images", "4", "--held-out", "0.2").code == 0
    said = spritemill("evaluate", "run/model.safetensors", "--real", data, "-n", "6", "--json")
    assert said.code == 0, said
    assert said.json["subject"]["samples"] == 6
    assert set(said.json["of_class"]) == {"potion", "sword"}
    said = spritemill("evaluate", "run/model.safetensors", "--real", data, "--recipe", "dungeon")
    assert (said.code, "sprites of 32 pixels, not 8" in said.err) == (2, True), said


def test_damaged_weights_are_drawn_with_by_nobody(spritemill: Program, data: Path) -> None:
    assert train(spritemill, data, "--images", "4", "--name", "forest-8").code == 0
    spritemill("models", "add", "run/model.safetensors")
    stored = next(spritemill.home.rglob("*.safetensors"))
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    request = {"model": "forest-8", "samples": 3, "contexts": [{"class": "sword"}]}
    for command in ("plan", "run"):
        said = spritemill(
            command, spritemill.request(json.dumps(request)), SPRITEMILL_RENDERER="diffusion"
        )
        assert said.code == 1, said
        assert f"the store's weights {stored.stem[:16]} have the hash" in said.err
        assert "Register the model again" in said.err
        assert "Traceback" not in said.err
    assert spritemill("models", "add", "run/model.safetensors").code == 0
    again = spritemill("run", "request.yaml", "--again", SPRITEMILL_RENDERER="diffusion")
    assert again.code == 0, again


def test_a_dataset_is_trained_on_as_it_is(spritemill: Program, data: Path) -> None:
    request = spritemill.request(
        '{"samples": 4, "contexts": [{"class": "potion"}, {"text": "red book"}]}'
    )
    dataset = spritemill("run", request, "--json").json["dataset"]
    said = train(spritemill, Path(dataset), "--images", "2", "--json")
    assert said.code == 0, said
    begin, *_, done = said.lines
    assert (begin["event"], done["event"], done["finished"]) == ("begin", "done", True)
    assert (begin["sprites"] + begin["held_out"], begin["classes"]) == (8, 1)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_how_to_go_on(
    spritemill: Program, data: Path, stop: signal.Signals
) -> None:
    process = spritemill.start(
        "train", data, "--out", "run", *LIGHT, "--json", "--images", str(EVER), **ALONE
    )
    assert process.stdout
    for line in process.stdout:
        if json.loads(line)["event"] == "step":
            break
    process.send_signal(stop)
    out, _ = process.communicate(timeout=60)
    done = json.loads(out.splitlines()[-1])
    assert (process.returncode, done["event"], done["finished"]) == (130, "done", False)
    again = train(spritemill, data, "--resume", "--images", str(done["images"] + 2))
    assert again.code == 0, again
    assert f"Trained on {done['images'] + 2} images" in again.out


def test_wrong_choices_cost_nothing(spritemill: Program, data: Path) -> None:
    for arguments, told in (
        ((data, "--out", "run", "--size", "20"), "multiples of 8"),
        ((data, "--out", "run", "--name", "Big Name"), "name = Big Name"),
        ((data / "none", "--out", "run"), "nothing of that name"),
        ((data, "--out", "run", "--resume"), "Leave --resume out"),
        ((data, "--out", "run", "--from", "x", *LIGHT), "no such file"),
    ):
        said = spritemill("train", *arguments)
        assert said.code == 2, said
        assert told in said.err
    assert not (spritemill.folder / "run" / "model.safetensors").exists()


def start(options: Options) -> "subprocess.Popen[str]":
    """The process that trains, to be killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.commands.train"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **ALONE},
    )  # fmt: skip
    assert process.stdin
    json.dump(asdict(options), process.stdin)
    process.stdin.close()
    process.stdin = None
    return process


def options(data: Path, out: Path, **more: Any) -> Options:
    return Options(
        str(data), str(out), "tiny", network="context-unet", size=SIZE, batch=2, device="cpu",
        look_minutes=1e-9, **more,
    )  # fmt: skip


def tensors(path: Path) -> dict[str, bytes]:
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


def test_killed_at_any_moment_and_resumed_it_ends_in_the_same_bytes(
    data: Path, tmp_path: Path
) -> None:
    out, begun, draw = tmp_path / "run", [-1], random.Random(0)
    for _ in range(2):
        process = start(options(data, out, images=40, resume=begun != [-1]))
        assert process.stdout
        events = (json.loads(line) for line in process.stdout)
        begun.append(next(events)["step"])
        assert next(event for event in events if event["event"] == "look")["spent"] < 1
        # the next checkpoint follows at once: the kill falls somewhere into it
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(draw.uniform(0, 0.1))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert begun == sorted(set(begun))
    resumed = start(options(data, out, images=40, resume=True))
    whole = start(options(data, tmp_path / "whole", images=40))
    for process in (resumed, whole):
        told, _ = process.communicate()
        assert process.returncode == 0
        assert re.search(r'"done", "finished": true', told)
    for name in ("checkpoint.safetensors", "model.safetensors"):
        kept, other = (tensors(folder / name) for folder in (out, tmp_path / "whole"))
        assert kept == other


def test_a_reader_that_is_gone_ends_it_with_all_saved(data: Path, tmp_path: Path) -> None:
    process = start(options(data, tmp_path / "run", images=EVER))
    assert process.stdout
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 130
    assert tensors(tmp_path / "run" / "checkpoint.safetensors")
