"""What users do, from the first command to the verified dataset, with the real program."""

import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import PROGRAM, Program

SMALL = "name: small\nsamples: 40\ncontexts:\n  - class: potion\n  - {class: weapon, text: sword}\n"
LARGE = "name: large\nsamples: 4000\ncontexts:\n  - class: potion\noutputs: {shard_samples: 64}\n"
SLOW = {"SPRITEMILL_FAKE_RATE": "400"}
SEEN = {"SPRITEMILL_FAKE_RATE": "40"}  # slow enough for each stage to be seen
DEADLINE = 90.0


def until(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not reached():
        assert time.monotonic() < end, f"not within {DEADLINE} s: {what}"
        time.sleep(0.1)


def under_way(spritemill: Program, samples: int = 1) -> None:
    """Wait until some of the newest job is committed."""

    def some() -> bool:
        said = spritemill("status", "--json")
        if said.code:
            return False
        assert said.json["state"] != "failed", said.json["error"]
        return bool(said.json["samples_done"] >= samples)

    until(some, f"{samples} samples")


def processes(spritemill: Program) -> list[int]:
    """Processes that carry this test's home in their environment."""
    mark = f"SPRITEMILL_HOME={spritemill.home}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_first_steps_lead_to_a_verified_dataset(spritemill: Program) -> None:
    assert spritemill("init").code == 0
    assert spritemill("check", "request.yaml").code == 0
    said = spritemill("run", "request.yaml", "--out", "sprites", "--json", **SEEN)
    assert said.code == 0, said
    made = said.json
    assert made["state"] == "succeeded"
    assert made["samples_done"] == made["total_samples"] == 80
    assert set(made["seconds"]) >= {"starting", "rendering", "folders"}
    assert Path(made["preview"]).is_file()
    pictures = list((spritemill.folder / "sprites").rglob("*.png"))
    assert len(pictures) == 80
    proof = spritemill("verify", made["dataset"], "--json")
    assert proof.json["ok"]
    assert proof.json["digest"] == made["dataset_digest"]


def test_run_tells_people_where_everything_is(spritemill: Program) -> None:
    said = spritemill("run", spritemill.request(SMALL), **SEEN)
    assert said.code == 0, said
    for word in ("80 sprites", "dataset", "preview.png", "digest", "took", "rendering"):
        assert word in said.out
    assert "\x1b" not in said.out + said.err
    assert len(said.err.splitlines()) < 10


def test_run_leaves_no_process_behind(spritemill: Program) -> None:
    assert spritemill("run", "--class", "potion", "-n", "5").code == 0
    until(lambda: processes(spritemill) == [], "no process left")


def test_the_same_request_is_made_once_unless_again(spritemill: Program) -> None:
    request = spritemill.request(SMALL)
    first = spritemill("run", request, "--json").json
    second = spritemill("run", request, "--json").json
    assert (second["id"], second["created"]) == (first["id"], False)
    third = spritemill("run", request, "--json", "--again").json
    assert third["id"] != first["id"]
    assert third["dataset_digest"] == first["dataset_digest"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_run_goes_on_with_the_same_command(
    spritemill: Program, number: signal.Signals
) -> None:
    request = spritemill.request(LARGE)
    process = spritemill.start("run", request, **SLOW)
    under_way(spritemill, 128)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"spritemill run {request}" in err
    assert "Traceback" not in err
    assert processes(spritemill) == []
    done = spritemill("status", "--json").json["samples_done"]
    assert 128 <= done < 4000
    said = spritemill("run", request, "--json")
    assert said.code == 0, said
    assert said.json["created"] is False
    assert spritemill("verify", "latest").code == 0


def test_killed_run_goes_on_with_the_same_command(spritemill: Program) -> None:
    request = spritemill.request(LARGE)
    process = spritemill.start("run", request, **SLOW)
    under_way(spritemill, 64)
    process.kill()
    process.communicate()
    until(lambda: processes(spritemill) == [], "children of a killed mill end")
    said = spritemill("run", request, "--json")
    assert said.code == 0, said
    assert spritemill("verify", "latest", "--json").json["ok"]


def test_mill_that_is_kept_up_makes_what_is_submitted(spritemill: Program) -> None:
    assert spritemill("up", "--detach").code == 0
    request = spritemill.request(SMALL)
    assert "No mill" not in spritemill("submit", request).err
    said = spritemill("submit", request, "--wait", "--json")
    assert said.code == 0, said
    assert said.lines[-1]["state"] == "succeeded"
    again = spritemill("submit", request, "--json").json
    assert again["created"] is False
    assert spritemill("down").code == 0
    assert processes(spritemill) == []


def test_submitting_where_no_mill_is_up_says_so(spritemill: Program) -> None:
    said = spritemill("submit", spritemill.request(SMALL))
    assert said.code == 0, said
    assert "spritemill up" in said.err


def test_second_mill_on_a_folder_is_refused_by_name(spritemill: Program) -> None:
    assert spritemill("up", "--detach").code == 0
    pid = json.loads((spritemill.home / "mill.json").read_text())["pid"]
    for command in (["up"], ["up", "--detach"], ["run", "--class", "potion"]):
        said = spritemill(*command)
        assert said.code == 2, said
        assert str(pid) in said.err
    assert spritemill("down").code == 0
    assert "No mill is up" in spritemill("down").out


def test_job_is_paused_resumed_and_cancelled(spritemill: Program) -> None:
    assert spritemill("up", "--detach", **SLOW).code == 0
    endless = spritemill.request(LARGE.replace("4000", "40000"))
    job = spritemill("submit", endless, "--json").json["id"]
    under_way(spritemill)
    assert spritemill("pause", job).code == 0
    until(lambda: spritemill("status", job, "--json").json["leased"] == 0, "shards handed back")
    done = spritemill("status", job, "--json").json["samples_done"]
    assert spritemill("resume", job[:6]).code == 0
    under_way(spritemill, done + 64)
    said = spritemill("cancel", "latest", "--json")
    assert said.json["state"] == "cancelled"
    assert spritemill("cancel", job).code == 0
    assert spritemill("resume", job).code == 2
    assert spritemill("watch", job).code == 1
    kinds = [event["kind"] for event in spritemill("events", job, "--json").lines]
    assert len(kinds) >= 4


def test_workers_come_and_go_while_a_job_runs(spritemill: Program) -> None:
    assert spritemill("up", "--detach", "--workers", "1", **SLOW).code == 0
    assert spritemill("submit", spritemill.request(LARGE)).code == 0
    started = spritemill("workers", "start", "--count", "1", "--json")
    assert started.code == 0, started

    def live() -> list[str]:
        found = spritemill("workers", "list", "--json").json
        return [worker["id"] for worker in found if worker["state"] == "ready"]

    until(lambda: len(live()) == 2, "two workers")
    mine = started.json[0]["id"]
    assert spritemill("workers", "drain", mine).code == 0
    until(lambda: mine not in live(), "the drained worker ends")
    assert spritemill("watch", "latest", "--json").lines[-1]["state"] == "succeeded"


def test_finished_dataset_is_downloaded_shown_and_removed(spritemill: Program) -> None:
    job = spritemill("run", spritemill.request(SMALL), "--json").json["id"]
    assert spritemill("download", job, "copy").code == 0
    assert spritemill("verify", "copy").code == 0
    assert spritemill("download", job, "pictures", "--folders").code == 0
    assert len(list((spritemill.folder / "pictures").rglob("*.png"))) == 80
    assert spritemill("preview", job, "--out", "sheet.png").code == 0
    assert (spritemill.folder / "sheet.png").read_bytes().startswith(b"\x89PNG")
    refused = spritemill("rm", job)
    assert refused.code == 2
    assert "--yes" in refused.err
    assert spritemill("rm", job, "--yes").code == 0
    assert spritemill("status", job).code == 2
    assert not (spritemill.home / "store" / "datasets" / job / "manifest.json").exists()
    assert spritemill("verify", "copy").code == 0


def test_damaged_dataset_is_told(spritemill: Program) -> None:
    spritemill("run", spritemill.request(SMALL))
    spritemill("download", "latest", "copy")
    shard = next((spritemill.folder / "copy" / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:-1024] + bytes(1023) + b"x")
    said = spritemill("verify", "copy")
    assert said.code == 1
    assert shard.name in said.err
    assert "Traceback" not in said.err
    assert spritemill("verify", "copy", "--json").json["ok"] is False


def test_what_can_be_asked_for_is_listed(spritemill: Program) -> None:
    model = spritemill("models", "list", "--json").json[0]
    assert "potion" in model["classes"]
    assert "potion" in spritemill("models", "show", model["name"]).out
    schema = spritemill("schema").json
    assert schema["$schema"].endswith("2020-12/schema")
    settings = {item["name"]: item for item in spritemill("config", "--json").json}
    assert settings["home"]["source"] == "environment"


def test_plan_says_what_a_request_takes_and_makes_nothing(spritemill: Program) -> None:
    said = spritemill("plan", spritemill.request(SMALL), "--json")
    assert said.code == 0, said
    assert said.json["estimate"]["samples"] == 80
    assert said.json["rate"] > 0
    assert not (spritemill.home / "ledger.db").exists()


def test_ledger_is_upgraded_on_demand(spritemill: Program) -> None:
    said = spritemill("db", "upgrade", "--json")
    assert said.code == 0, said
    assert said.json["revision"]
    assert spritemill("list", "--json").json == []


def test_request_may_come_by_standard_input(spritemill: Program) -> None:
    ended = subprocess.run(
        [PROGRAM, "check", "-"],
        input=SMALL,
        env=spritemill.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_terminal_shows_a_live_bar_and_the_sheet(spritemill: Program) -> None:
    shown = in_terminal(spritemill, "run", spritemill.request(SMALL))
    assert "\x1b[" in shown
    assert "80 of 80 sprites" in shown
    drawn = in_terminal(spritemill, "preview", "latest")
    assert "\u2580" in drawn
    assert "38;2;" in drawn


@pytest.fixture
def _heeded() -> Iterator[None]:
    """Children hear of a closed terminal, also where the tests themselves run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_heeded")
def test_closed_terminal_ends_the_run_in_order(spritemill: Program) -> None:
    request = spritemill.request(LARGE)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", PROGRAM, "run", request],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=spritemill.folder,
        env={**spritemill.environment, **SLOW, "TERM": "xterm"},
    )
    os.close(slave)
    under_way(spritemill, 64)
    os.close(master)
    assert process.wait(60) == 130
    assert processes(spritemill) == []
    assert spritemill("run", request).code == 0


def in_terminal(spritemill: Program, *arguments: str) -> str:
    """All that a command shows on a terminal of its own."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=spritemill.folder,
        env={**spritemill.environment, "TERM": "xterm-256color", "COLUMNS": "120"},
        start_new_session=True,
    )
    os.close(slave)
    shown = b""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if select.select([master], [], [], 0.2)[0]:
            try:
                shown += os.read(master, 65536)
            except OSError:  # the last one closed the terminal
                break
        elif process.poll() is not None:
            break
    os.close(master)
    assert process.wait(10) == 0, shown.decode()
    return shown.decode()
