"""Adding, finding, moving and removing jobs, on every kind of ledger."""

from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from core.errors import ConflictError, NotFoundError, UsageError
from core.ledger import connect, events, jobs, schema, shards
from core.ledger.states import JOB_MOVES, TERMINAL, JobState
from tests.contracts.ledger_rows import Rows, at_once

_WAY = {
    JobState.PLANNED: [],
    JobState.RUNNING: [JobState.RUNNING],
    JobState.PAUSED: [JobState.PAUSED],
    JobState.FINALIZING: [JobState.RUNNING, JobState.FINALIZING],
    JobState.SUCCEEDED: [JobState.RUNNING, JobState.FINALIZING, JobState.SUCCEEDED],
    JobState.FAILED: [JobState.FAILED],
    JobState.CANCELLED: [JobState.CANCELLED],
}


def _in(rows: Rows, state: JobState) -> jobs.Job:
    job = rows.job()
    for step in _WAY[state]:
        assert jobs.move(rows.ledger, job.id, step)
    return rows.again(job)


def test_added_job_is_planned_and_keeps_its_request(rows: Rows) -> None:
    new = rows.new(request='{"name": "heroes"}', priority=3, workers=2)
    job, created = jobs.add(rows.ledger, new)
    assert created
    assert (job.id, job.state, job.priority, job.total_samples) == (new.id, "planned", 3, 30)
    assert job.workers == 2
    assert job == jobs.get(rows.ledger, new.id)
    assert jobs.request_text(rows.ledger, new.id) == '{"name": "heroes"}'


def test_same_request_of_an_owner_answers_with_the_job_that_is_there(rows: Rows) -> None:
    first, _ = jobs.add(rows.ledger, rows.new(request_digest="d" * 64))
    again, created = jobs.add(rows.ledger, rows.new(request_digest="d" * 64, name="other"))
    assert (again, created) == (first, False)
    _, created = jobs.add(rows.ledger, rows.new(request_digest="d" * 64, owner="bob"))
    assert created


def test_two_submits_at_once_make_one_job(ledger_url: str, rows: Rows) -> None:
    def submit(_: int) -> tuple[str, bool]:
        ledger = connect(ledger_url)
        job, created = jobs.add(ledger, rows.new(request_digest="d" * 64))
        ledger.close()
        return job.id, created

    answers = at_once(4, submit)
    assert len({job for job, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1


def test_submitting_again_on_purpose_makes_another_which_then_answers(rows: Rows) -> None:
    new = rows.new(request_digest="d" * 64)
    first, _ = jobs.add(rows.ledger, new)
    second, created = jobs.add(rows.ledger, replace(new, id=jobs.new_id()), again=True)
    assert created
    assert second.id != first.id
    answer, created = jobs.add(rows.ledger, replace(new, id=jobs.new_id()))
    assert (answer.id, created) == (second.id, False)


def test_submits_again_at_once_all_make_jobs(ledger_url: str, rows: Rows) -> None:
    def submit(_: int) -> str:
        ledger = connect(ledger_url)
        job, created = jobs.add(ledger, rows.new(request_digest="d" * 64), again=True)
        ledger.close()
        assert created
        return job.id

    assert len(set(at_once(3, submit))) == 3


@pytest.mark.parametrize(
    ("state", "answers"),
    [
        (JobState.SUCCEEDED, True),
        (JobState.PAUSED, True),
        (JobState.FAILED, False),
        (JobState.CANCELLED, False),
    ],
)
def test_jobs_that_ended_badly_do_not_answer(rows: Rows, state: JobState, answers: bool) -> None:
    job = _in(rows, state)
    _, created = jobs.add(rows.ledger, rows.new(request_digest=job.request_digest))
    assert created is not answers


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("to", list(JobState))
def test_only_the_moves_of_the_table_are_made(rows: Rows, state: JobState, to: JobState) -> None:
    job = _in(rows, state)
    told = events.of(rows.ledger, job.id)
    moved = jobs.move(rows.ledger, job.id, to)
    assert moved is (to in JOB_MOVES[state])
    assert rows.again(job).state is (to if moved else state)
    assert len(events.of(rows.ledger, job.id)) == len(told) + moved
    assert (rows.again(job).finished_at is not None) is (rows.again(job).state in TERMINAL)


def test_job_that_ran_does_not_go_back_to_planned(rows: Rows) -> None:
    job = rows.job()
    rows.held(job)
    assert jobs.move(rows.ledger, job.id, JobState.PAUSED)
    assert not jobs.move(rows.ledger, job.id, JobState.PLANNED)
    assert jobs.move(rows.ledger, job.id, JobState.RUNNING)


def test_cancel_ends_what_waits_and_keeps_what_is_done(rows: Rows) -> None:
    job = rows.job()
    assert rows.commit(rows.held(job, 1))
    assert jobs.move(rows.ledger, job.id, JobState.CANCELLED)
    assert rows.states(job) == ["cancelled", "done", "cancelled"]
    assert [done.number for done in shards.done(rows.ledger, job.id)] == [1]


def test_moves_at_once_are_made_once(ledger_url: str, rows: Rows) -> None:
    job = rows.job()

    def cancel(_: int) -> bool:
        ledger = connect(ledger_url)
        moved = jobs.move(ledger, job.id, JobState.CANCELLED)
        ledger.close()
        return moved

    assert sorted(at_once(3, cancel)) == [False, False, True]


def test_outcome_is_kept(rows: Rows) -> None:
    job = _in(rows, JobState.FINALIZING)
    assert jobs.move(rows.ledger, job.id, JobState.SUCCEEDED, dataset_digest="e" * 64)
    assert rows.again(job).dataset_digest == "e" * 64
    job = _in(rows, JobState.FINALIZING)
    assert jobs.move(rows.ledger, job.id, JobState.FAILED, error="the index is torn")
    assert rows.again(job).error == "the index is torn"
    assert events.of(rows.ledger, job.id)[-1].fields == {"error": "the index is torn"}


def test_jobs_are_found_by_id_by_prefix_and_as_the_latest(rows: Rows) -> None:
    first, _ = jobs.add(rows.ledger, rows.new(id="abcdefghijkl"))
    second, _ = jobs.add(rows.ledger, rows.new(id="abcxyzghijkl", owner="bob"))
    assert jobs.resolve(rows.ledger, "abcdefghijkl") == first
    assert jobs.resolve(rows.ledger, "abcx") == second
    assert jobs.resolve(rows.ledger, "latest") == second
    assert jobs.resolve(rows.ledger, "latest", owner="ann") == first
    assert jobs.resolve(rows.ledger, "abc", owner="ann") == first
    with pytest.raises(UsageError, match=r"ambiguous: abc\w+, abc\w+\."):
        jobs.resolve(rows.ledger, "abc")


@pytest.mark.parametrize("name", ["zzz", "", "%", "_bcdefghijkl", "abc\0", "latest"])
def test_jobs_that_are_not_there_are_not_found(rows: Rows, name: str) -> None:
    if name != "latest":
        jobs.add(rows.ledger, rows.new(id="abcdefghijkl"))
    with pytest.raises(NotFoundError):
        jobs.resolve(rows.ledger, name)


def test_unknown_ids_are_not_found(rows: Rows) -> None:
    with pytest.raises(NotFoundError):
        jobs.get(rows.ledger, "nosuchjob123")
    with pytest.raises(NotFoundError):
        jobs.request_text(rows.ledger, "nosuchjob123")
    with pytest.raises(NotFoundError):
        jobs.move(rows.ledger, "nosuchjob123", JobState.CANCELLED)
    with pytest.raises(NotFoundError):
        jobs.remove(rows.ledger, "nosuchjob123")


def test_list_is_newest_first_and_filtered(rows: Rows) -> None:
    first, second = rows.job(owner="bob"), rows.job()
    third = _in(rows, JobState.CANCELLED)
    ids = [job.id for job in jobs.list(rows.ledger)]
    assert ids == [third.id, second.id, first.id]
    assert [job.id for job in jobs.list(rows.ledger, limit=1)] == [third.id]
    assert [job.id for job in jobs.list(rows.ledger, owner="bob")] == [first.id]
    cancelled = jobs.list(rows.ledger, states=[JobState.CANCELLED])
    assert [job.id for job in cancelled] == [third.id]


def test_runnable_is_most_urgent_first_then_oldest(rows: Rows) -> None:
    old, new = rows.job(), rows.job()
    urgent = rows.job(priority=9)
    _in(rows, JobState.PAUSED)
    rows.held(new)
    ids = [job.id for job in jobs.runnable(rows.ledger)]
    assert ids == [urgent.id, old.id, new.id]


def test_all_jobs_to_finish_are_told_the_oldest_first(rows: Rows) -> None:
    for number in range(51):
        jobs.add(rows.ledger, rows.new(name=f"{number}"))
    with rows.ledger.write() as connection:
        connection.execute(update(schema.jobs).values(state=JobState.FINALIZING))
    rows.job()
    found = [jobs.get(rows.ledger, job) for job in jobs.finalizing(rows.ledger)]
    assert len(found) == 51
    assert found == sorted(found, key=lambda job: (job.created_at, job.id))


def test_only_jobs_that_are_over_and_left_are_removed(rows: Rows) -> None:
    job = rows.job()
    claim = rows.held(job)
    with pytest.raises(ConflictError, match="running"):
        jobs.remove(rows.ledger, job.id)
    assert jobs.move(rows.ledger, job.id, JobState.CANCELLED)
    with pytest.raises(ConflictError, match="1 of its shards"):
        jobs.remove(rows.ledger, job.id)
    shards.release(rows.ledger, claim)
    jobs.remove(rows.ledger, job.id)
    assert rows.states(job) == []
    assert events.of(rows.ledger, job.id) == []
    assert not rows.commit(claim)


def test_events_tell_a_jobs_story_in_order(rows: Rows) -> None:
    job, other = rows.job(shard_count=1), rows.job()
    shards.release(rows.ledger, rows.held(job))
    rows.held(other)
    shards.fail(rows.ledger, rows.held(job, attempt=1), "OSError", "torn", backoff=0.0)
    assert rows.commit(rows.held(job, attempt=2))
    told = events.of(rows.ledger, job.id)
    assert [event.kind for event in told] == [
        "job.planned",
        "job.running",
        "job.bound",
        "shard.released",
        "shard.failed",
        "shard.retried",
        "job.finalizing",
    ]
    assert [event.id for event in told] == sorted({event.id for event in told})
    bound, _, failed, retried = told[2:6]
    assert (bound.shard, bound.worker, bound.fields) == (0, "w1", {"numerics": "n1"})
    assert failed.fields == {"attempt": 2, "failures": 1, "error": "OSError: torn"}
    assert (retried.worker, retried.fields) == ("w1", {"attempt": 3, "failures": 1})
    assert events.of(rows.ledger, job.id, after=told[1].id, limit=2) == told[2:4]


def test_time_since_anything_happened_is_known_by_the_events(rows: Rows) -> None:
    with rows.ledger.write() as connection:
        connection.execute(delete(schema.events))
    assert events.quiet_for(rows.ledger) is None
    rows.job()
    quiet = events.quiet_for(rows.ledger)
    assert quiet is not None
    assert 0 <= quiet < 60
    with rows.ledger.write() as connection:
        connection.execute(update(schema.events).values(at=schema.events.c.at - 100))
    assert 100 <= (events.quiet_for(rows.ledger) or 0) < 160


def test_ids_are_twelve_safe_characters() -> None:
    ids = {jobs.new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(each) == 12 and each.isalnum() and each == each.lower() for each in ids)


def test_job_that_extends_a_dataset_is_found_until_it_is_over(rows: Rows) -> None:
    digest = "d" * 64
    rows.job()
    assert jobs.extending(rows.ledger, digest) is None
    child = rows.job(request='{"parent": {"digest": "' + digest + '"}}')
    assert jobs.extending(rows.ledger, digest) == rows.again(child)
    assert jobs.extending(rows.ledger, "e" * 64) is None
    assert jobs.move(rows.ledger, child.id, JobState.CANCELLED)
    assert jobs.extending(rows.ledger, digest) is None
