"""What the commands about jobs answer where nothing renders, to people and to machines."""

import json
from pathlib import Path

import pytest

from core.dataset.folders import MARKER
from core.ledger import jobs
from core.ledger.states import JobState
from core.settings import load
from orchestrator import admission
from orchestrator.cli import main
from orchestrator.cli.interrupt import same_command
from orchestrator.service import Service

REQUEST = {"name": "one", "contexts": [{"class": "potion", "samples": 4}]}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEMILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SPRITEMILL_OWNER", "ann")
    monkeypatch.chdir(tmp_path)


def submitted(capsys: pytest.CaptureFixture[str], **values: object) -> str:
    """The id of a job that waits."""
    Path("request.json").write_text(json.dumps({**REQUEST, **values}))
    return said(capsys, "submit", "request.json", "-q").strip()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_job_that_never_ran_is_planned_again_when_it_is_resumed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = submitted(capsys)
    said(capsys, "pause", job)
    assert said(capsys, "resume", job, "-q") == "planned\n"


@pytest.mark.parametrize("how", ["--quiet", "--json"])
def test_submit_waits_for_no_job_that_has_paused_itself(
    capsys: pytest.CaptureFixture[str], how: str
) -> None:
    job = submitted(capsys)
    with Service(load({})) as service:
        assert jobs.move(service.ledger, job, JobState.PAUSED, error="deadline: it has passed")
    assert main(["submit", "request.json", "--wait", how]) == 1
    told = "".join(capsys.readouterr())
    assert "is paused: deadline: it has passed." in told
    assert f"spritemill resume {job}" in told


def test_run_refuses_the_folder_of_another_request_before_anything_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    marker = {"dataset_digest": "d" * 64, "request_digest": "0" * 64}
    (tmp_path / "out" / MARKER).write_text(json.dumps(marker))
    assert main(["run", "--class", "potion", "-n", "1", "--out", "out"]) == 2
    assert "out = out: the sprites of another request are there" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_run_refuses_folders_that_would_not_fit_before_anything_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRITEMILL_STORE_URL", "s3://sprites")
    monkeypatch.setattr(admission, "free_bytes", lambda _: 10**6)
    assert main(["run", "--class", "potion", "-n", "1000", "--out", "out"]) == 2
    told = capsys.readouterr().err
    assert "samples = 1,000: they need about" in told
    assert "but out has 1.0 MB free" in told
    assert not (tmp_path / "home").exists()


def test_command_to_go_on_with_names_the_job_that_was_the_latest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["spritemill", "extend", "latest", "-n", "9", "--again"])
    assert same_command("abc") == "spritemill extend abc -n 9"
    assert same_command() == "spritemill extend latest -n 9"


def test_limit_of_a_job_is_not_the_number_of_live_workers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = json.loads(said(capsys, "status", submitted(capsys, workers=3), "--json"))
    (listed,) = json.loads(said(capsys, "list", "--json"))
    assert (found["workers"], listed["workers"], found["workers_live"]) == (3, 3, 0)


def test_status_tells_limits_where_they_are_set(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "status", submitted(capsys))
    assert not {"priority", "deadline", "budget"} & {line.split()[0] for line in told.splitlines()}
    limits = {"priority": 5, "workers": 3, "deadline": "2100-01-31T12:00:00Z",
              "budget": {"gpu_seconds": 1500}, "at_end": "drain"}  # fmt: skip
    lines = said(capsys, "status", submitted(capsys, seed=2, **limits)).splitlines()
    shown = {line[:10].strip(): line[10:].strip() for line in lines}
    assert shown["priority"] == "5"
    assert shown["workers"] == "0, at most 3 at this job"
    assert shown["deadline"].startswith("2100-01-31")
    assert shown["deadline"].endswith(", then drain")
    assert shown["budget"] == "1,500 GPU-seconds, then drain"


def test_list_names_owners_and_says_where_it_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted(capsys)
    monkeypatch.setenv("SPRITEMILL_OWNER", "ben")
    submitted(capsys)
    head, *rows = (line.split() for line in said(capsys, "list", "--all").splitlines())
    assert [head[-1], *(row[-1] for row in rows)] == ["owner", "ben", "ann"]
    assert main(["list", "--all", "-n", "1"]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 2
    assert told.err == "There are more than these 1: --limit N shows them.\n"
    assert main(["list", "--all", "-n", "2"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "request.json", "-w", "0"], "workers = 0: nobody would render"),
        (["extend", "latest", "-n", "9", "--submit", "-w", "5"], "workers = 5: with --submit"),
    ],
)
def test_workers_that_would_be_none_are_refused(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("request.json").write_text(json.dumps(REQUEST))
    assert main(arguments) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "home").exists()
