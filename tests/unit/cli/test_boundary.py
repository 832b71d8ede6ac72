"""The boundary: exit codes, messages instead of tracebacks, global options anywhere."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import Fault, JobFailedError, RequestError, SpritemillError, UnreachableError
from orchestrator.cli import main, split


@pytest.mark.parametrize(
    ("given", "hoisted"),
    [
        (["status", "--json"], ["--json", "status"]),
        (["status", "x", "--home", "/a", "-q"], ["--home", "/a", "-q", "status", "x"]),
        (["status", "--home=/a"], ["--home=/a", "status"]),
        (["check", "--", "--json"], ["check", "--", "--json"]),
        ([], []),
    ],
)
def test_global_options_are_taken_anywhere(given: list[str], hoisted: list[str]) -> None:
    first, rest = split(given)
    assert first + rest == hoisted


def test_only_the_command_that_is_called_is_imported() -> None:
    asked = "import sys; from orchestrator.cli import main; main(['--quiet', 'config']); "
    told = asked + "print([name for name in sys.modules if name.startswith('orchestrator.cli.')])"
    ran = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60
    )
    assert "orchestrator.cli.system" in ran.stdout
    assert "orchestrator.cli.train" not in ran.stdout


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("orchestrator.cli.app.program", fail)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError([Fault("seed", "x", "no")]), 2),
        (JobFailedError("gone"), 1),
        (UnreachableError("the ledger does not answer"), 3),
        (SpritemillError("other"), 1),
        (ValueError("a bug"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(error, monkeypatch)
    assert main(["status"]) == code


def test_every_fault_is_told_on_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = [Fault("seed", "-1", "it must be at least 0"), Fault("name", "", "it is empty")]
    raising(RequestError(faults), monkeypatch)
    main(["check", "x"])
    assert capsys.readouterr().err.splitlines() == [
        "spritemill: 2 things are wrong:",
        "  seed = -1: it must be at least 0.",
        "  name: it is empty.",
    ]


def test_machines_get_errors_as_one_document_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(RequestError([Fault("seed", "-1", "it must be at least 0")]), monkeypatch)
    assert main(["check", "x", "--json"]) == 2
    said = capsys.readouterr()
    error = json.loads(said.out)["error"]
    assert error["kind"] == "RequestError"
    assert error["faults"][0]["field"] == "seed"
    assert said.err == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["status", "--jsn"], "--jsn"),
        (["stauts"], "stauts"),
        (["priority", "latest", "high"], "high"),
        (["export"], "--format"),
        (["list", "--home"], "--home needs a folder"),
        (["list", "--home", "-q"], "--home needs a folder"),
    ],
)
def test_machines_are_told_of_wrong_usage_too(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--json"]) == 2
    said = capsys.readouterr()
    error = json.loads(said.out)["error"]
    assert (error["kind"], said.err) == ("UsageError", "")
    assert told in error["message"]


def test_people_are_told_that_home_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--home"]) == 2
    assert capsys.readouterr().err.startswith("spritemill: --home needs a folder. ")


def test_exit_codes_are_the_same_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--help", "--json"]) == 0
    assert main(["config", "--json"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m orchestrator.cli config {closed}"
    ran = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_config_tells_where_the_settings_file_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPRITEMILL_CONFIG", str(tmp_path / "mine.toml"))
    (tmp_path / "mine.toml").touch()
    assert main(["config"]) == 0
    assert capsys.readouterr().out.endswith(f"\nThe settings file is {tmp_path / 'mine.toml'}.\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["models", "add", "no.safetensors"], "no.safetensors cannot be read"),
        (["evaluate", "dungeon-32", "--real", "."], "real = .: the folder is empty"),
    ],
)
def test_file_that_cannot_be_used_is_wrong_usage(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SPRITEMILL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_command_to_go_on_with_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "my file.yaml"]) == 0
    assert "Next: spritemill run 'my file.yaml'" in capsys.readouterr().out
    assert "spritemill run 'my file.yaml'" in Path("my file.yaml").read_text()


def test_unexpected_errors_show_a_traceback_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(ValueError("a bug"), monkeypatch)
    monkeypatch.delenv("SPRITEMILL_LOG_LEVEL", raising=False)
    main(["status"])
    told = capsys.readouterr().err
    assert told.splitlines()[0] == "spritemill: unexpected ValueError: a bug"
    assert "Traceback" not in told
    monkeypatch.setenv("SPRITEMILL_LOG_LEVEL", "debug")
    main(["status"])
    assert "Traceback" in capsys.readouterr().err
