"""Refusals are counted with the shard's commit, and may pause its job."""

from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

import core.ledger
from core.ledger import Ledger, connect, events, jobs, shards, trials
from core.ledger.jobs import Job
from core.ledger.refusals import Drift, Refusals
from core.ledger.states import JobState
from core.ledger.upgrade import upgrade
from tests.contracts.ledger_rows import Rows, result

OLD = {"id": "old", "name": "old ones", "state": "running", "owner": "ann", "error": None}
HALF = Drift(refused=0.5, shards=2)


def commit(rows: Rows, job: Job, shard: int, found: Refusals | None) -> Job:
    claim = rows.held(job, shard)
    assert shards.commit(rows.ledger, claim, replace(result(claim), refusals=found))
    return rows.again(job)


def test_refusals_add_up_by_rule(rows: Rows) -> None:
    job = rows.job(3)
    commit(rows, job, 0, Refusals({"colours": 2, "cover": 1}, unfilled=1))
    commit(rows, job, 1, None)
    job = commit(rows, job, 2, Refusals({"colours": 5}, unfilled=2))
    assert job.refused == {"colours": 7, "cover": 1}
    assert job.samples_unfilled == 3
    assert job.state == JobState.FINALIZING


def test_committing_again_counts_nothing_twice(rows: Rows) -> None:
    job = rows.job(2)
    claim = rows.held(job)
    again = replace(result(claim), refusals=Refusals({"cover": 4}, unfilled=1))
    assert shards.commit(rows.ledger, claim, again)
    assert shards.commit(rows.ledger, claim, again)
    assert (rows.again(job).refused, rows.again(job).samples_unfilled) == ({"cover": 4}, 1)


def test_shard_that_is_retried_is_counted_once(rows: Rows, ledger: Ledger) -> None:
    job = rows.job(2)
    commit(rows, job, 1, Refusals({"cover": 1}, unfilled=1))
    claim = rows.held(job)
    shards.give_up(ledger, claim, "hero/3", "not finite")
    found = Refusals({"cover": 4, "colours": 2}, unfilled=2)
    assert shards.commit(ledger, claim, replace(result(claim), samples=7, refusals=found))
    assert jobs.move(ledger, job.id, JobState.SUCCEEDED, dataset_digest="d" * 64)
    assert trials.retry(ledger, job.id) == 1
    again = rows.again(job)
    assert (again.refused, again.samples_unfilled) == ({"cover": 1}, 1)
    claim = rows.held(job, attempt=1)
    assert shards.commit(ledger, claim, replace(result(claim), samples=8, refusals=found))
    again = rows.again(job)
    assert (again.refused, again.samples_unfilled) == ({"cover": 5, "colours": 2}, 3)


def test_done_shard_has_the_samples_that_were_filled(rows: Rows, ledger: Ledger) -> None:
    job = rows.job(2)
    claim = rows.held(job)
    found = replace(result(claim), samples=7, refusals=Refusals({"cover": 24}, unfilled=3))
    assert shards.commit(ledger, claim, found)
    assert [shard.samples for shard in shards.done(ledger, job.id)] == [7]
    assert rows.again(job).samples_done == 7


def drawn(refused: int) -> Refusals:
    return Refusals({"cover": refused}, drift=HALF)


@pytest.mark.parametrize(
    ("refused", "state"),
    [((10, 10), JobState.RUNNING), ((0, 21), JobState.PAUSED), ((21, 0), JobState.PAUSED)],
)
def test_job_pauses_when_more_than_its_share_was_refused(
    rows: Rows, ledger: Ledger, refused: tuple[int, int], state: JobState
) -> None:
    """Two shards of ten samples each: with 20 refusals just half of the drawings were refused."""
    job = rows.job(3)
    for shard, count in enumerate(refused):
        job = commit(rows, job, shard, drawn(count))
    assert job.state == state
    told = events.of(ledger, job.id)[-1]
    assert (told.kind == "job.paused") is (state == JobState.PAUSED)
    if state == JobState.PAUSED:
        assert job.error == told.fields["error"]
        assert "21 of 41 drawings (51%) in the last 2 shards" in (job.error or "")


def test_job_is_not_judged_before_its_shards_are_enough(rows: Rows) -> None:
    job = rows.job(3)
    assert commit(rows, job, 0, drawn(1000)).state == JobState.RUNNING


def test_resumed_job_is_judged_anew(rows: Rows, ledger: Ledger) -> None:
    job = rows.job(6)
    for shard in (0, 1):
        job = commit(rows, job, shard, drawn(100))
    assert jobs.move(ledger, job.id, JobState.RUNNING)
    assert rows.again(job).error is None
    assert commit(rows, job, 2, drawn(100)).state == JobState.RUNNING
    assert commit(rows, job, 3, drawn(100)).state == JobState.PAUSED


def test_last_shard_finishes_the_job_whatever_was_refused(rows: Rows) -> None:
    job = rows.job(2)
    for shard in (0, 1):
        job = commit(rows, job, shard, drawn(100))
    assert job.state == JobState.FINALIZING


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_jobs_of_the_first_version_have_refused_nothing(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("fresh_database")
    ledger = connect(url, check_schema=False)
    config = Config()
    config.set_main_option("script_location", str(Path(core.ledger.__file__).parent / "migrations"))
    with ledger.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        columns = connection.execute(text("SELECT * FROM jobs")).keys()
        values = {name: OLD.get(name, 0) for name in columns}
        marks = ", ".join(f":{name}" for name in columns)
        connection.execute(text(f"INSERT INTO jobs VALUES ({marks})"), values)
    ledger.close()
    upgrade(url)
    ledger = connect(url)
    found = jobs.get(ledger, "old")
    assert (found.name, found.refused, found.samples_unfilled) == ("old ones", {}, 0)
    ledger.close()
