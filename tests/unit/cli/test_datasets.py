"""What the commands about finished datasets answer, and refuse."""

from pathlib import Path

import pytest

from core.dataset import assembly
from orchestrator.cli import main
from tests.unit.dataset.bench import REQUEST, Bench, folder_store, job


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEMILL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dataset(tmp_path: Path) -> Bench:
    made = job(folder_store(tmp_path / "there"), tmp_path / "there", REQUEST)
    made.render_all()
    assembly.clean(made.store, made.assemble())
    return made


def test_diff_draws_no_picture_where_no_sprite_changed(
    dataset: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = dataset.copy(tmp_path / "copy")
    assert main(["diff", str(dataset.folder), str(copy.folder), "--out", "changed.png"]) == 0
    assert "No sprite changed, so changed.png is not written." in capsys.readouterr().err
    assert not Path("changed.png").exists()
