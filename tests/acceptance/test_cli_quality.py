"""Quality rules from the request to the report, and the job that pauses itself."""

from pathlib import Path

from tests.acceptance.conftest import Program

STRICT = """
name: strict
seed: 3
samples: 40
contexts:
  - class: potion
  - class: hero
quality: {cover: [0.45, 0.6], tries: 3, drift: {refused: 0.1, shards: 1}}
outputs: {shard_samples: 20}
"""
CALM = STRICT.replace(", drift: {refused: 0.1, shards: 1}", "")


def test_refusals_are_told_by_status_report_and_verify(spritemill: Program) -> None:
    assert spritemill("run", spritemill.request(CALM)).code == 0
    job = spritemill("status", "--json").json
    assert job["state"] == "succeeded"
    assert job["refused"]["cover"] > 0
    assert job["samples_done"] + job["samples_unfilled"] == 80
    assert f"refused   {job['refused']['cover']} drawings: cover" in spritemill("status").out
    written = spritemill("report", "--json")
    assert written.code == 0, written
    page = Path(spritemill.folder / written.json["report"])
    assert page.name == "strict-report.html"
    assert f"{job['refused']['cover']} drawings were refused" in page.read_text("utf-8")
    assert spritemill("verify", "latest").code == 0


def test_report_of_a_folder_needs_no_mill(spritemill: Program, tmp_path: Path) -> None:
    assert spritemill("run", spritemill.request(CALM)).code == 0
    assert spritemill("download", "latest", "copy").code == 0
    elsewhere = str(tmp_path / "nowhere")
    said = spritemill("report", "copy", "--out", "page.html", "-q", SPRITEMILL_HOME=elsewhere)
    assert (said.code, said.out) == (0, "page.html\n")
    assert not Path(elsewhere).exists()


def test_report_of_nothing_is_refused(spritemill: Program) -> None:
    said = spritemill("report", "nothing")
    assert said.code == 2
    assert "Traceback" not in said.err


def test_drifting_job_pauses_says_why_and_goes_on(spritemill: Program) -> None:
    spritemill.start("up", "--workers", "1")
    request = spritemill.request(STRICT)
    while (submitted := spritemill("submit", request, "--json")).code:
        assert submitted.code == 3, submitted
    job = submitted.json["id"]
    pauses = 0
    while (status := spritemill("status", job, "--json").json)["state"] != "succeeded":
        assert status["state"] not in ("failed", "cancelled"), status
        if status["state"] == "paused":
            assert "drawings" in status["error"]
            assert "paused by" in spritemill("status", job).out
            assert spritemill("resume", job).code == 0
            pauses += 1
    assert pauses > 0
    kinds = [event["kind"] for event in spritemill("events", job, "--json").lines]
    assert kinds.count("job.paused") == pauses
    assert status["error"] is None
