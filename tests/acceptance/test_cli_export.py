"""Making a dataset and taking it to other tools, as a user would."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.acceptance.conftest import Program

REQUEST = """
seed: 3
contexts:
  - {class: potion, samples: 30}
  - {class: weapon, samples: 30}
outputs: {shard_samples: 16}
"""

FAULTS = [
    (("--format", "parket"), "Did you mean parquet"),
    (("--format", "parquet", "--where", "clas = 'potion'"), "Did you mean class"),
    (("--format", "parquet", "--split", "a=0.5"), "sum up to 0.5"),
    (("--format", "parquet", "--name", "{class}"), "one name"),
    (("--format", "parquet", "--palette", "nowhere.gpl"), "no file"),
    (("--format", "parquet", "--scale", "0"), "whole number from 1"),
]


@pytest.fixture
def made(spritemill: Program) -> Program:
    """A program whose latest job is finished."""
    said = spritemill("run", spritemill.request(REQUEST))
    assert said.code == 0, said
    return spritemill


def test_job_is_exported_and_downloaded_folder_alike(made: Program) -> None:
    said = made("export", "--format", "parquet", "--out", "one", "--split", "train=0.8,test=0.2")
    assert said.code == 0, said
    assert "60 sprites" in said.out
    assert made("download", "latest", "copy").code == 0
    said = made(
        "export", "copy", "--format", "parquet", "--out", "two", "--split", "train=0.8,test=0.2",
        "--json", SPRITEMILL_HOME=str(made.folder / "nowhere"),
    )  # fmt: skip
    assert said.json["samples"] == {"train": 48, "test": 12}
    one, two = (
        {p.name: p.read_bytes() for p in (made.folder / n).rglob("*.parquet")}
        for n in ("one", "two")
    )
    assert one == two
    assert len(one) == 2


def test_options_reach_the_export(made: Program) -> None:
    said = made(
        "export", "--format", "numpy", "--out", "arrays", "--where", 'class = "weapon"',
        "--scale", "2", "--palette", "#000000,#ff0000", "--background", "#00FF00", "--quiet",
    )  # fmt: skip
    assert (said.code, said.out.strip()) == (0, "arrays")
    images = np.load(made.folder / "arrays" / "sprites.npy")
    assert images.shape == (30, 64, 64, 3)
    assert json.loads((made.folder / "arrays" / "labels.json").read_text())["contexts"] == [
        "weapon"
    ]


def test_export_begun_again_makes_nothing_anew(made: Program) -> None:
    arguments = ("export", "--format", "webdataset", "--out", "tars", "--json")
    assert made(*arguments).json["written"] == 1
    before = (made.folder / "tars" / "train-000000.tar").stat().st_mtime_ns
    assert made(*arguments).json["written"] == 0
    assert (made.folder / "tars" / "train-000000.tar").stat().st_mtime_ns == before


def test_fault_is_told_before_anything_is_written(made: Program) -> None:
    for arguments, told in FAULTS:
        said = made("export", *arguments, "--out", "out")
        assert said.code == 2, said
        assert told in said.err
        assert not (made.folder / "out").exists()


def test_job_that_is_not_there_is_told(spritemill: Program, tmp_path: Path) -> None:
    said = spritemill("export", "--format", "parquet", "--out", str(tmp_path / "out"))
    assert said.code == 2
    assert not (tmp_path / "out").exists()


def test_names_of_sprites_are_the_pattern_s(made: Program) -> None:
    said = made("export", "--format", "parquet", "--out", "named", "--name", "{class}-{index:03}")
    assert said.code == 0, said
    table = pq.read_table(next((made.folder / "named").glob("data/*.parquet")))
    keys = table["key"].to_pylist()
    assert (keys[0], keys[-1]) == ("potion-000", "weapon-029")
