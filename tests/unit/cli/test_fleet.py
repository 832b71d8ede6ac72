"""What the commands about workers and priorities answer, to people and to machines."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import ledger as ledgers
from core.ledger import shards, workers
from core.ledger.upgrade import upgrade
from orchestrator.cli import main
from tests.contracts.ledger_rows import Rows


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rows]:
    """An embedded mill's ledger, which the commands find."""
    monkeypatch.setenv("SPRITEMILL_HOME", str(tmp_path))
    upgrade(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger = ledgers.connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Rows(ledger)
    ledger.close()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_list_shows_what_each_worker_renders(
    rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    rows.worker("w1")
    rows.worker("w2")
    job = rows.job()
    shards.renew(rows.ledger, rows.held(job, 1, worker="w1"), 60.0, 5, 2.0)
    shards.fail(rows.ledger, rows.held(job, worker="w2"), "OSError", "torn", backoff=0.0)
    head, first, second = (line.split() for line in said(capsys, "workers", "list").splitlines())
    assert head[7:11] == ["renders", "rate", "made", "failures"]
    assert first[7:12] == [f"{job.id}/1", "50%", "2.5/s", "0", "0"]
    assert second[7:9] == ["0", "1"]
    found = json.loads(said(capsys, "workers", "list", "--json"))
    assert found[0]["rendering"][0]["progress"] == 5
    assert (found[0]["rate"], found[1]["rendering"], found[1]["failures"]) == (2.5, [], 1)
    assert said(capsys, "workers", "list", "--state", "draining", "-q") == ""
    workers.gone(rows.ledger, "w2")
    assert said(capsys, "workers", "list", "-q") == "w1\n"
    assert said(capsys, "workers", "list", "-q", "--all") == "w1\nw2\n"


def test_wanted_is_a_number_for_a_script_and_a_class_a_line_for_people(
    rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    rows.worker("w1")
    rows.job(shard_count=50)
    assert said(capsys, "workers", "wanted", "-q") == "1\n"
    assert said(capsys, "workers", "wanted", "-q", "--min", "3") == "3\n"
    found = json.loads(said(capsys, "workers", "wanted", "--json"))
    (one,) = found["classes"]
    assert (found["wanted"], one["numerics"], one["gpu_seconds"]) == (1, "n1", 50.0)
    assert said(capsys, "workers", "wanted").splitlines()[1].split() == [
        *("n1", "cpu", "1", "50", "1", "1"),
    ]
    assert main(["workers", "wanted", "--min", "3", "--max", "2"]) == 2


def test_priority_takes_negative_numbers(rows: Rows, capsys: pytest.CaptureFixture[str]) -> None:
    job = rows.job()
    assert said(capsys, "priority", job.id, "7", "-q") == "7\n"
    assert said(capsys, "priority", job.id, "-7", "-q") == "-7\n"
    assert main(["priority", job.id, "high"]) == 2
    assert rows.again(job).priority == -7


def test_status_tells_cost_range_and_failures_by_kind(
    rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    job = rows.job(shard_count=10)
    assert rows.commit(rows.held(job, 0))
    shards.fail(rows.ledger, rows.held(job, 1), "OSError", "torn", backoff=0.0)
    for number, made in ((2, 5), (3, 2)):
        shards.renew(rows.ledger, rows.held(job, number), 60.0, made, 1.0)
    lines = said(capsys, "status", job.id).splitlines()
    shown = {line[:10].strip(): line[10:].strip() for line in lines}
    assert shown["cost"] == "2 GPU-seconds, 4 to come"
    assert shown["left"] == "2.1 s (2.1 s to 23 s)"
    assert shown["failures"] == "OSError 1"
    found = json.loads(said(capsys, "status", job.id, "--json"))
    assert found["failures"] == {"OSError": 1}
    assert found["gpu_seconds_spent"] == 2.5
