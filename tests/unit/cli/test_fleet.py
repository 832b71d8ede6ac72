"""What the commands about workers and jobs under way answer, to people and to machines."""

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


def test_stop_and_drain_reach_the_workers_that_are_named(
    rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    for worker in ("alpha", "beta", "gone"):
        rows.worker(worker)
    workers.gone(rows.ledger, "gone")
    assert said(capsys, "workers", "stop", "al", "-q") == "alpha\n"
    assert said(capsys, "workers", "drain", "beta") == "Told 1 worker to drain.\n"
    orders = {one.id: one.order for one in workers.live(rows.ledger, 60.0)}
    assert orders == {"alpha": "stop", "beta": "drain"}
    assert said(capsys, "workers", "drain") == "Told 2 workers to drain.\n"
    assert main(["workers", "stop", "zeta"]) == 2


def test_retry_lets_a_job_go_on_that_waited_for_memory(
    rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    job = rows.job()
    rows.worker()
    shards.exhaust(rows.ledger, rows.held(job), "MemoryError: too large")
    assert rows.shard(job)["memory"] is not None
    assert said(capsys, "retry", job.id, "-q") == "running\n"
    assert rows.shard(job)["memory"] is None
    assert main(["retry", "nobody"]) == 2


def test_logs_tell_of_one_job_in_order(
    rows: Rows, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job, other = rows.job(), rows.job()
    logs = tmp_path / "logs"
    logs.mkdir()
    lines = [
        {"timestamp": f"2026-05-01T00:00:0{second}Z", "event": event, "job": about.id}
        for second, event, about in ((3, "late", job), (1, "early", job), (2, "else", other))
    ]
    for number, line in enumerate(lines):
        (logs / f"worker-{number}.log").write_text(json.dumps(line) + "\n")
    told = said(capsys, "logs", job.id, "--json").splitlines()
    assert [json.loads(line)["event"] for line in told] == ["early", "late"]


def test_backup_is_a_ledger_and_replaces_nothing(
    rows: Rows, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job, copy = rows.job(), tmp_path / "copy.db"
    assert said(capsys, "db", "backup", str(copy), "-q") == f"{copy}\n"
    copied = ledgers.connect(f"sqlite:///{copy}")
    assert Rows(copied).again(job).id == job.id
    copied.close()
    assert main(["db", "backup", str(copy)]) != 0
