"""What fails again and again, by sample, by worker and for want of memory, on every ledger."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from core.errors import ConflictError, NotFoundError
from core.ledger import Ledger, bars, events, jobs, schema, shards, trials, workers
from core.ledger.jobs import Job
from core.ledger.shards import FAILURES, Claim
from core.ledger.states import JobState, ShardState
from core.ledger.workers import WorkerState
from tests.contracts.ledger_rows import Rows, at_once, result


def fail(rows: Rows, claim: Claim) -> ShardState:
    return shards.fail(rows.ledger, claim, "OSError", "torn", backoff=0.0)


def failed_often(rows: Rows, job: Job) -> Claim:
    """A claim of shard 0 after the failures that have it rendered sample by sample."""
    for attempt in range(FAILURES):
        fail(rows, rows.held(job, attempt=attempt))
    return rows.held(job, attempt=FAILURES)


def with_a_lost_sample(rows: Rows, job: Job) -> Job:
    claim = failed_often(rows, job)
    shards.give_up(rows.ledger, claim, "hero/3", "not finite")
    assert shards.commit(rows.ledger, claim, replace(result(claim), samples=9))
    return rows.again(job)


def test_claim_tells_what_failed_before(rows: Rows) -> None:
    claim = failed_often(rows, rows.job())
    assert (claim.failures, claim.given_up) == (FAILURES, {})


def test_given_up_samples_are_told_by_an_event_and_to_the_next_claim(rows: Rows) -> None:
    job = rows.job()
    claim = failed_often(rows, job)
    shards.give_up(rows.ledger, claim, "hero/3", "not finite")
    event = events.of(rows.ledger, job.id)[-1]
    assert (event.kind, event.shard, event.worker) == ("sample.quarantined", 0, "w1")
    assert event.fields == {"sample": "hero/3", "error": "not finite"}
    shards.release(rows.ledger, claim)
    assert rows.held(job, attempt=4).given_up == {"hero/3": "not finite"}


@pytest.mark.parametrize("death", ["expired", "buried"])
def test_death_is_blamed_on_the_sample_tried_alone_and_not_on_its_shard(
    rows: Rows, death: str
) -> None:
    job = rows.job()
    rows.worker("w1")
    zombie = failed_often(rows, job)
    shards.release(rows.ledger, zombie)
    claim = rows.held(job, attempt=4, lease=-1.0)
    shards.trying(rows.ledger, claim, "hero/2")
    shards.trying(rows.ledger, zombie, "hero/1")
    shards.give_up(rows.ledger, zombie, "hero/1", "late")
    taken = shards.expire(rows.ledger) if death == "expired" else workers.bury(rows.ledger, ["w1"])
    assert len(taken) == 1
    row = rows.shard(job)
    assert (row["state"], row["failures"], row["trying"]) == ("pending", FAILURES, None)
    heir = rows.held(job, attempt=5)
    assert list(heir.given_up) == ["hero/2"]
    assert "rendered alone" in heir.given_up["hero/2"]


def test_free_death_blames_nobody(rows: Rows) -> None:
    job = rows.job()
    rows.worker("w1")
    claim = failed_often(rows, job)
    shards.trying(rows.ledger, claim, "hero/2")
    assert len(workers.bury(rows.ledger, ["w1"], free=True)) == 1
    again = rows.held(job, attempt=4)
    assert (again.given_up, again.failures) == ({}, FAILURES)


def test_samples_given_up_at_once_with_the_lease_running_out_are_kept_or_fenced(
    rows: Rows, ledger: Ledger
) -> None:
    job = rows.job()
    shards.release(ledger, failed_often(rows, job))
    claim = rows.held(job, attempt=4, lease=-1.0)
    at_once(
        2,
        lambda n: (
            shards.expire(ledger) if n else shards.give_up(ledger, claim, "hero/1", "not finite")
        ),
    )
    told = [e for e in events.of(ledger, job.id) if e.kind == "sample.quarantined"]
    assert len(rows.held(job, attempt=5).given_up) == len(told)


def test_job_of_which_nothing_could_be_rendered_fails_and_says_why(rows: Rows) -> None:
    job = rows.job()
    claim = failed_often(rows, job)
    shards.give_up(rows.ledger, claim, "hero/3", "not finite")
    assert shards.commit(rows.ledger, claim, replace(result(claim), samples=0))
    job = rows.again(job)
    assert job.state is JobState.FAILED
    assert "hero/3: not finite" in (job.error or "")


def test_worker_that_fails_a_job_three_times_is_kept_off_while_another_is_there(
    rows: Rows,
) -> None:
    rows.worker("w1")
    rows.worker("w2")
    job, other = rows.job(shard_count=4), rows.job()
    for number in range(bars.STRIKES):
        fail(rows, rows.held(job, number))
    assert rows.claim(job, 3) is None
    assert rows.shard(job, 3)["hinted_at"] is None
    assert rows.held(other, worker="w1")
    assert rows.held(job, 3, worker="w2")


def test_worker_that_fails_is_not_kept_off_a_shard_too_large_for_the_others(rows: Rows) -> None:
    rows.worker("w1", memory=80)
    rows.worker("w2", memory=24)
    job = rows.job(shard_count=4)
    for number in range(bars.STRIKES):
        fail(rows, rows.held(job, number))
    shards.exhaust(rows.ledger, rows.held(job, 3, worker="w2"), "MemoryError: 40 asked")
    assert rows.claim(job, 3, attempt=1, worker="w2") is None
    assert rows.held(job, 3, attempt=1)


@pytest.mark.parametrize("absent", ["gone", "draining", "another class", "kept off too"])
def test_worker_that_fails_is_not_kept_off_when_nobody_else_could(rows: Rows, absent: str) -> None:
    rows.worker("w1")
    rows.worker("w2", numerics="n2" if absent == "another class" else "n1")
    job = rows.job(shard_count=7)
    for number in range(bars.STRIKES):
        fail(rows, rows.held(job, number))
    if absent == "gone":
        workers.gone(rows.ledger, "w2")
    if absent == "draining":
        workers.beat(rows.ledger, "w2", WorkerState.DRAINING)
    if absent == "kept off too":
        for number in range(3, 3 + bars.STRIKES):
            fail(rows, rows.held(job, number, worker="w2"))
    assert rows.held(job, 6)


@pytest.mark.parametrize("silent", [True, False])
def test_leases_that_ran_out_are_held_against_a_worker_that_was_heard_of(
    rows: Rows, silent: bool
) -> None:
    rows.worker("w1")
    rows.worker("w2")
    job = rows.job(shard_count=bars.STRIKES + 1)
    for number in range(bars.STRIKES):
        rows.held(job, number, lease=-1.0)
    if silent:
        workers.gone(rows.ledger, "w1")
    assert len(shards.expire(rows.ledger)) == bars.STRIKES
    assert bool(rows.claim(job, bars.STRIKES)) is silent


def test_failures_of_a_job_are_counted_by_their_kind_and_returns_without_one_are_not(
    rows: Rows,
) -> None:
    rows.worker("w1")
    job = rows.job(shard_count=6)
    shards.release(rows.ledger, rows.held(job, 0))
    assert rows.again(job).failures == {}
    for number in (0, 1):
        fail(rows, rows.held(job, number, attempt=1 - number))
    shards.exhaust(rows.ledger, rows.held(job, 2), "MemoryError: 20 asked")
    rows.held(job, 3, lease=-1.0)
    shards.expire(rows.ledger)
    rows.held(job, 4)
    workers.bury(rows.ledger, ["w1"])
    assert rows.again(job).failures == {
        "OSError": 2,
        "out of memory": 1,
        "lease expired": 1,
        "worker died": 1,
    }


def test_shard_that_ran_out_of_memory_goes_to_a_larger_worker_without_a_failure(
    rows: Rows,
) -> None:
    rows.worker("w1", memory=16)
    rows.worker("w2", memory=16)
    rows.worker("w3", memory=24)
    job = rows.job()
    state = shards.exhaust(rows.ledger, rows.held(job), "MemoryError: 20 asked")
    assert state is ShardState.PENDING
    row = rows.shard(job)
    assert (row["failures"], row["memory"], row["error"]) == (0, 16, "MemoryError: 20 asked")
    assert bars.too_little(rows.ledger, job.id) == 16
    for small in ("w1", "w2"):
        assert rows.claim(job, attempt=1, worker=small) is None
    assert rows.held(job, attempt=1, worker="w3")
    assert bars.too_little(rows.ledger, job.id) is None
    assert events.of(rows.ledger, job.id)[-1].kind == "shard.out_of_memory"


def test_retry_lets_every_worker_try_what_ran_out_of_memory(rows: Rows) -> None:
    rows.worker("w1", memory=16)
    job = rows.job()
    shards.exhaust(rows.ledger, rows.held(job), "MemoryError: 20 asked")
    assert trials.retry(rows.ledger, job.id) == 1
    assert rows.held(job, attempt=1)


def test_retry_opens_a_succeeded_job_for_just_the_shards_that_gave_samples_up(rows: Rows) -> None:
    job = rows.job(shard_count=2)
    assert rows.commit(rows.held(job, 1))
    job = with_a_lost_sample(rows, job)
    assert (job.state, job.samples_done) == (JobState.FINALIZING, 19)
    assert jobs.move(rows.ledger, job.id, JobState.SUCCEEDED, error="1", dataset_digest="d" * 64)
    assert trials.lost(rows.ledger, job.id) == {"hero/3": "not finite"}
    assert trials.retry(rows.ledger, job.id) == 1
    job = rows.again(job)
    assert (job.state, job.shards_done, job.samples_done) == (JobState.RUNNING, 1, 10)
    assert (job.error, job.dataset_digest, job.finished_at) == (None, None, None)
    assert rows.states(job) == ["pending", "done"]
    claim = rows.held(job, attempt=4)
    assert (claim.failures, claim.given_up) == (FAILURES, {})
    assert shards.commit(rows.ledger, claim, replace(result(claim), samples=10))
    job = rows.again(job)
    assert (job.state, job.samples_done, job.bytes_done) == (JobState.FINALIZING, 20, 2000)


def test_job_that_is_about_to_be_removed_is_not_opened_anew(rows: Rows) -> None:
    job = with_a_lost_sample(rows, rows.job(shard_count=1))
    assert jobs.move(rows.ledger, job.id, JobState.SUCCEEDED, error="1", dataset_digest="d" * 64)
    jobs.condemn(rows.ledger, job.id)
    with pytest.raises(ConflictError):
        trials.retry(rows.ledger, job.id)
    with pytest.raises(NotFoundError):
        jobs.of_dataset(rows.ledger, "d" * 64)
    jobs.remove(rows.ledger, job.id)


def test_job_that_is_about_to_be_removed_does_not_answer_for_its_request(rows: Rows) -> None:
    job = rows.job(shard_count=1)
    assert rows.commit(rows.held(job))
    assert jobs.move(rows.ledger, job.id, JobState.SUCCEEDED, dataset_digest="d" * 64)
    same = rows.new(1, request_digest=job.request_digest)
    assert jobs.add(rows.ledger, same) == (rows.again(job), False)
    jobs.condemn(rows.ledger, job.id)
    assert jobs.add(rows.ledger, same)[1]


def test_retry_of_a_job_goes_on_beyond_its_deadline_and_budget(rows: Rows) -> None:
    job = with_a_lost_sample(rows, rows.job(shard_count=1, deadline=4e9, gpu_seconds=100.0))
    assert jobs.move(rows.ledger, job.id, JobState.SUCCEEDED, error="1", dataset_digest="d" * 64)
    spent = {"deadline": 1.0, "gpu_seconds": job.render_seconds}
    with rows.ledger.write() as connection:
        connection.execute(update(schema.jobs).values(spent))
    assert trials.retry(rows.ledger, job.id) == 1
    assert rows.held(job, attempt=4)


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.CANCELLED, JobState.SUCCEEDED])
def test_retry_is_refused_where_there_is_nothing_to_retry(rows: Rows, state: JobState) -> None:
    job = rows.job(shard_count=1)
    claim = rows.held(job)
    if state is JobState.SUCCEEDED:
        assert rows.commit(claim)
    jobs.move(rows.ledger, job.id, state)
    before = rows.again(job)
    with pytest.raises(ConflictError, match="no sample of it is quarantined"):
        trials.retry(rows.ledger, job.id)
    assert rows.again(job) == before
