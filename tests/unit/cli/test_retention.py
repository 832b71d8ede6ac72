"""What `gc` answers."""

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from core import ledger as ledgers
from core.ledger import schema
from core.ledger.upgrade import upgrade
from orchestrator.cli import main
from tests.contracts.ledger_rows import Rows

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


def test_a_span_says_which_datasets_are_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPRITEMILL_HOME", str(tmp_path))
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    upgrade(url)
    ledger = ledgers.connect(url)
    job = Rows(ledger).job()
    with ledger.write() as connection:
        ended = update(schema.jobs).where(schema.jobs.c.id == job.id)
        connection.execute(ended.values(state="succeeded", finished_at=time.time() - 7200))
    ledger.close()
    assert main(["gc", "--older-than", "3h", "-q"]) == 0
    assert capsys.readouterr().out == "0\n"
    assert main(["gc", "--older-than", "1h", "-q"]) == 0
    assert capsys.readouterr().out == "1\n"
    assert main(["gc", "--older-than", "1 hour"]) == 2
