"""Evaluating as users do it, with the fake renderer: what is told, not how good it is."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from core import weights
from tests.acceptance.conftest import Program

MEASURED = {"samples", "training", "unseen", "to_held_out", "to_training", "copies"}


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A folder of folders: 40 potions and 40 books."""
    folder = tmp_path / "real"
    draw = np.random.default_rng(0)
    for number in range(80):
        blocks = draw.integers(0, 256, (8, 8, 4), dtype=np.uint8)
        blocks[..., 3] = 255
        path = folder / ("book" if number % 2 else "potion") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blocks.repeat(4, axis=0).repeat(4, axis=1)).save(path)
    return folder


def test_job_and_its_dataset_are_evaluated_alike(spritemill: Program, real: Path) -> None:
    request = spritemill.request(
        '{"samples": 30, "contexts": [{"class": "potion"}, {"class": "book"}]}'
    )
    said = spritemill("run", request, "--json")
    assert said.code == 0, said
    of_job = spritemill("evaluate", "latest", "--real", real, "--held-out", "0.5", "--json")
    assert of_job.code == 0, of_job
    names = ("evaluation.json", "evaluation.html", "nearest.png", "nearest.csv")
    files = [spritemill.folder / "evaluation" / name for name in names]
    told = json.loads(files[0].read_text())
    assert of_job.json == {
        "files": [str(path.relative_to(spritemill.folder)) for path in files],
        **told,
    }
    assert told["subject"]["samples"] == 60
    assert set(told["of_class"]) == {"potion", "book"}
    assert told["overall"].keys() >= MEASURED
    assert told["beside"]["training"] == told["beside"]["held_out"] == 40
    assert files[1].read_text().startswith("<!doctype html>")
    pairs = files[3].read_text().splitlines()
    assert len(pairs) == 1 + 60
    assert all((real / pair.split(",")[3]).is_file() for pair in pairs[1:])

    folder = said.json["dataset"]
    of_folder = spritemill(
        "evaluate", folder, "--real", real, "--held-out", "0.5", "--out", "again"
    )
    assert of_folder.code == 0, of_folder
    assert "kernel distance to held-out sprites" in of_folder.out
    again = json.loads((spritemill.folder / "again" / "evaluation.json").read_text())
    assert again["overall"] == told["overall"]


def test_as_many_of_a_dataset_as_asked_are_laid_beside_named_arrays(spritemill: Program) -> None:
    request = spritemill.request(
        '{"samples": 30, "contexts": [{"class": "potion"}, {"class": "book"}]}'
    )
    assert spritemill("run", request, "--out", "made").code == 0
    draw, real = np.random.default_rng(0), spritemill.folder / "sprites.npy"
    blocks = draw.integers(0, 256, (80, 8, 8, 3), dtype=np.uint8)
    np.save(real, blocks.repeat(4, axis=1).repeat(4, axis=2))
    np.save(spritemill.folder / "labels.npy", np.arange(80) % 2)
    said = spritemill(
        "evaluate", "latest", "--real", real, "--classes", "book,potion", "-n", "50",
        "--held-out", "0.5", "--json",
    )  # fmt: skip
    assert said.code == 0, said
    assert said.json["subject"]["samples"] == 50
    assert said.json["overall"]["to_held_out"]["sprites"] == 40
    assert {name: of["samples"]["sprites"] for name, of in said.json["of_class"].items()} == {
        "potion": 25,
        "book": 25,
    }


def test_model_is_drawn_with_each_sampler_and_number_of_steps(
    spritemill: Program, real: Path
) -> None:
    said = spritemill(
        "evaluate", "dungeon-32", "--real", real, "-n", "42", "--steps", "2,4", "--samplers",
        "ddim,dpmpp_2m", "--held-out", "0.5", "--json",
    )  # fmt: skip
    assert said.code == 0, said
    assert said.json["subject"]["samples"] == 42
    assert len(said.json["of_class"]) == 21
    trials = [(trial["sampler"], trial["steps"]) for trial in said.json["trials"]]
    assert trials == [("ddim", 2), ("ddim", 4), ("dpmpp_2m", 2), ("dpmpp_2m", 4)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nonesuch", "--real", ".."), "no model, folder, file or job"),
        (("dungeon-32", "--real", "nowhere"), "nowhere: there is no such folder"),
        (("dungeon-32", "--real", "..", "--steps", "few"), "whole numbers"),
        (("dungeon-32", "--real", "..", "--samplers", "ddim"), "Please give --steps"),
        (
            ("dungeon-32", "--real", "..", "--steps", "2", "--samplers", "euler"),
            'sampling.sampler = "euler"',
        ),
        ((".", "--real", "..", "--steps", "2"), "a dataset is drawn already"),
        (("dungeon-32", "--real", "..", "--steps", "0"), "sampling.steps = 0"),
    ],
)
def test_what_cannot_be_evaluated_is_told(
    spritemill: Program, arguments: tuple[str, ...], told: str
) -> None:
    said = spritemill("evaluate", *arguments)
    assert said.code == 2, said
    assert told in said.err
    assert "Traceback" not in said.err


def test_classes_of_what_has_names_are_refused(spritemill: Program, real: Path) -> None:
    said = spritemill("evaluate", "dungeon-32", "--real", real, "--classes", "book,potion")
    assert said.code == 2, said
    assert "classes = book,potion: only arrays have classes without names" in said.err
    assert not (spritemill.folder / "evaluation").exists()


def test_files_that_are_no_models_are_refused(spritemill: Program, real: Path) -> None:
    (spritemill.folder / "notes.txt").write_text("no tensors")
    spec = weights.read_spec(weights.bundled()).model_copy(update={"name": "tiny"})
    metadata = {weights.METADATA_KEY: spec.model_dump_json()}
    save_file({"w": np.zeros(1)}, spritemill.folder / "tiny.safetensors", metadata=metadata)
    no_model = spritemill("evaluate", "notes.txt", "--real", real)
    assert no_model.code == 2, no_model
    assert "notes.txt is not a Spritemill model" in no_model.err
    other = spritemill("evaluate", "tiny.safetensors", "--real", real, "--json")
    assert other.code == 2, other
    assert "tiny.safetensors does not hold the network" in other.json["error"]["message"]
    assert not (spritemill.folder / "evaluation").exists()
