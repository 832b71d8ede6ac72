"""A whole training run, from a folder of pictures to a model that draws."""

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from core.diffusion.model import load_model
from core.diffusion.tile import render_tile
from core.errors import ConflictError, NotFoundError, SpritemillError, UsageError
from core.request.spec import Sampling
from core.training.history import History
from core.training.options import Network, Options, check
from core.training.session import train

SIZE = 8
EVER = 10**9
Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of noise."""
    torch.set_num_threads(1)
    folder, draw = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name in ("potion", "sword"):
        (folder / name).mkdir()
        for number in range(6):
            pixels = draw.integers(0, 256, (SIZE, SIZE, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def options(data: Path, out: Path, network: Network = "context-unet", **more: Any) -> Options:
    chosen = {"size": SIZE, "batch": 2, "held_out": 0.2, "device": "cpu", **more}
    return Options(data=str(data), out=str(out), name="tiny", network=network, **chosen)


def run(options: Options) -> Events:
    events: Events = []
    train(options, events.append, Event())
    return events


def tensors(path: Path) -> dict[str, bytes]:
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize("network", ["unet", "context-unet"])
def test_training_gives_a_model_that_draws_and_pictures_of_how(
    data: Path, tmp_path: Path, network: Network
) -> None:
    events = run(options(data, tmp_path, network, images=4))
    told = [event["event"] for event in events if event["event"] != "step"]
    assert told == ["begin", "look", "done"]
    assert events[0]["sprites"] + events[0]["held_out"] == 12
    look, done = events[-2:]
    assert (look["spent"], look["seconds_left"]) == (1.0, 0.0)
    assert look["validation_loss"] > 0
    model = load_model(Path(done["model"]))
    assert (model.spec.name, model.sha256) == ("tiny", done["sha256"])
    assert (model.spec.classes, model.spec.channels) == (("potion", "sword"), 4)
    assert model.spec.trained.startswith("4 images")
    for picture in (look["sheet"], tmp_path / "noising.png", tmp_path / "loss.png"):
        with Image.open(picture) as image:
            assert min(image.size) > 100
    last = History(tmp_path / "history.csv", EVER).moments[-1]
    assert (last.step, last.validation_loss) == (2, look["validation_loss"])


def test_grey_arrays_of_28_pixels_train_an_unconditional_model(tmp_path: Path) -> None:
    digits = np.random.default_rng(0).integers(0, 256, (9, 28, 28), dtype=np.uint8)
    np.save(tmp_path / "digits.npy", digits)
    assert drawn(tmp_path / "digits.npy", tmp_path / "run", 28, times=1000) == (1, 0, 1000)


def test_colour_pictures_of_32_pixels_train_an_unconditional_model(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    assert drawn(tmp_path, tmp_path / "run", 32, times=1000) == (3, 0, 1000)


def test_the_courses_arrays_train_a_model_of_their_classes(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "sprites_1788_16x16.npy", pixels)
    np.save(tmp_path / "sprite_labels_nc_1788_16x16.npy", np.eye(5)[np.arange(10) % 5])
    assert drawn(tmp_path, tmp_path / "run", 16) == (3, 5, 500)


def drawn(data: Path, out: Path, size: int, **more: Any) -> tuple[int, int, int]:
    """Channels, classes and times of a model that was trained, and draws a sprite."""
    events = run(options(data, out, images=2, batch=1, size=size, **more))
    model = load_model(Path(events[-1]["model"]))
    contexts = np.eye(1, model.spec.context_length, dtype=np.float32)
    sampling = Sampling(sampler="ddim", steps=2, guidance=1.0)
    sprites = render_tile(
        model, contexts, None, [bytes(16)], sampling, lambda _: None, alpha="opaque"
    )
    assert sprites.shape == (1, size, size, 4)
    assert model.spec.betas
    return model.spec.channels, model.spec.context_length, model.spec.betas.timesteps


def test_stopped_and_resumed_it_ends_in_the_same_bytes(data: Path, tmp_path: Path) -> None:
    whole, parts, stop = tmp_path / "whole", tmp_path / "parts", Event()
    run(options(data, whole, images=12))
    events: Events = []

    def emit(event: dict[str, Any]) -> None:
        events.append(event)
        if event["event"] == "look":
            stop.set()

    train(options(data, parts, images=12, look_minutes=1e-9), emit, stop)
    assert (events[-1]["finished"], events[-1]["step"]) == (False, 1)
    again = run(options(data, parts, images=12, resume=True))
    assert again[0]["step"] == 1
    assert again[-1]["finished"]
    for name in ("checkpoint.safetensors", "model.safetensors"):
        assert tensors(whole / name) == tensors(parts / name)


def test_a_run_that_is_there_is_not_begun_over(data: Path, tmp_path: Path) -> None:
    run(options(data, tmp_path, images=2))
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(ConflictError, match="--resume"):
        run(options(data, tmp_path, images=2))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_nothing_is_resumed_where_nothing_is(data: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="Leave --resume out"):
        run(options(data, tmp_path, resume=True))


def test_two_trainings_do_not_share_a_folder(data: Path, tmp_path: Path) -> None:
    def emit(event: dict[str, Any]) -> None:
        if event["event"] == "begin":
            with pytest.raises(ConflictError, match="another training"):
                run(options(data, tmp_path))

    train(options(data, tmp_path, images=2), emit, Event())


def test_a_folder_that_cannot_be_written_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        run(options(data, tmp_path / "file" / "run"))


def test_a_loss_that_is_no_number_ends_it_and_is_not_kept(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SpritemillError, match=r"loss = (nan|inf)"):
        run(options(data, tmp_path, images=200, rate=1e30))
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_stopped_before_the_first_step_nothing_is_kept(data: Path, tmp_path: Path) -> None:
    stop, events = Event(), Events()
    stop.set()
    train(options(data, tmp_path), events.append, stop)
    assert (events[-1]["model"], events[-1]["step"]) == (None, 0)
    assert not (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.parametrize(
    ("faulty", "told"),
    [
        ({"size": 20}, "multiples of 8"),
        ({"size": 512}, "Give 256"),
        ({"name": "Big Name"}, "name = Big Name"),
        ({"recipe": "dungeon", "size": 16}, "32 pixels"),
        ({"resume": True, "begin_from": "x"}, "from = x"),
        ({"recipe": "dungeon", "mirror": True}, "mirror = True: the recipe"),
        ({"recipe": "dungeon", "shift": True}, "shift = True: the recipe"),
        ({"recipe": "dungeon", "recolour": 0.5}, "recolour = 0.5: the recipe"),
        ({"recipe": "dungeon", "classes": ("a", "b")}, "classes = a,b: the recipe"),
        ({"classes": ("a", "b")}, "classes = a,b: only arrays"),
        ({"times": 1000}, "times = 1000: the unet"),
    ],
)
def test_wrong_choices_are_told(faulty: dict[str, Any], told: str) -> None:
    with pytest.raises(SpritemillError, match=told):
        check(Options(**{"data": "x", "out": "y", "name": "z", **faulty}))
