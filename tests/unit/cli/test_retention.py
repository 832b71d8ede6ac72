"""What `gc` answers."""

import os
from pathlib import Path

import pytest

from orchestrator.cli import main

LONG_AGO = (0.0, 0.0)
ORPHAN = "datasets/zzzzzzzzzzzz/preview.png"


def test_what_is_gone_is_told_when_the_rest_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPRITEMILL_HOME", str(tmp_path))
    assert main(["db", "upgrade"]) == 0
    orphan, stuck = tmp_path / "store" / ORPHAN, tmp_path / "store" / ".part" / "stuck"
    orphan.parent.mkdir(parents=True)
    orphan.touch()
    stuck.mkdir(parents=True)
    for each in (orphan, stuck):
        os.utime(each, LONG_AGO)
    assert main(["gc"]) == 0
    assert "To be removed, with --yes: 2" in capsys.readouterr().out
    assert main(["gc", "--yes"]) == 1
    said = capsys.readouterr()
    assert ORPHAN in said.out
    assert "Removed: 1," in said.out
    assert ".part" in said.err
    assert not orphan.exists()
