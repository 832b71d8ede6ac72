"""What the commands about finished datasets answer, and refuse."""

import json
from pathlib import Path

import pytest

from orchestrator.cli import main
from tests.unit.dataset.bench import Bench, finished_dataset


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEMILL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dataset(tmp_path: Path) -> Bench:
    return finished_dataset(tmp_path / "there")


def test_diff_draws_no_picture_where_no_sprite_changed(
    dataset: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = dataset.copy(tmp_path / "copy")
    assert main(["diff", str(dataset.folder), str(copy.folder), "--out", "changed.png"]) == 0
    assert "No sprite changed, so changed.png is not written." in capsys.readouterr().err
    assert not Path("changed.png").exists()


def test_diff_says_how_many_fields_it_does_not_show(
    dataset: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = dataset.copy(tmp_path / "copy")
    copy.forge(numerics={f"fact {number}": number for number in range(30)})
    asked = ["diff", str(dataset.folder), str(copy.folder)]
    assert main([*asked, "--json"]) == 0
    hidden = len(json.loads(capsys.readouterr().out)["provenance"]) - 20
    assert main(asked) == 0
    assert f"and {hidden} fields more" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("command", ["verify", "preview", "report", "repair"])
def test_folder_that_is_not_there_is_no_job_either(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "nowhere/dataset"]) == 2
    said = capsys.readouterr().err
    assert "dataset = nowhere/dataset: there is no folder and no job of that name." in said


def test_latest_is_told_how_to_come_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 2
    assert "there are no jobs yet" in capsys.readouterr().err


def test_preview_shows_the_sheet_of_a_folder(
    dataset: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", f"{dataset.folder}/", "-q"]) == 0
    assert capsys.readouterr().out == f"{dataset.folder}/preview.png\n"


@pytest.mark.parametrize("out", [".", "./sub/parquet", "../abcdefghij23/shards"])
def test_export_into_the_dataset_itself_is_refused(
    dataset: Bench, out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(dataset.folder.rglob("*"))
    monkeypatch.chdir(dataset.folder)
    assert main(["export", str(dataset.folder), "--format", "numpy", "--out", out]) == 2
    assert "in the dataset itself" in capsys.readouterr().err
    assert sorted(dataset.folder.rglob("*")) == before


def test_export_to_a_file_is_refused(dataset: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert main(["export", str(dataset.folder), "--format", "numpy", "--out", "file"]) == 2
    assert "out = file: it is no folder" in capsys.readouterr().err


def test_show_names_the_fields_as_the_index_does(
    dataset: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", f"{dataset.folder}/0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["class"], found["context"], found["attempt"]) == ("potion", "potion", 0)
    assert not {"class_name", "context_label"} & set(found)


def test_report_makes_room_for_its_page_before_it_makes_the_page(
    dataset: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert main(["report", str(dataset.folder), "--out", "file/page.html"]) == 2
    assert main(["report", str(dataset.folder), "--out", "."]) == 2
    assert "shard" not in capsys.readouterr().err
    assert main(["report", str(dataset.folder), "--out", "new/page.html"]) == 0
    assert Path("new/page.html").is_file()


def test_report_of_a_dataset_whose_name_leads_elsewhere_is_refused(
    dataset: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("below").mkdir()
    dataset.forge(name="below/page")
    assert main(["report", str(dataset.folder)]) == 1
    assert "not a dataset's manifest: name" in capsys.readouterr().err
    assert not list(Path("below").iterdir())
