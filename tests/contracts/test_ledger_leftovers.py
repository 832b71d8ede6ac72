"""Jobs whose workers may have left something are told until they were looked through."""

from core.ledger import jobs, leftovers, shards
from core.ledger.states import JobState
from tests.contracts.ledger_rows import Rows


def test_job_is_due_once_it_is_over_and_all_workers_have_left(rows: Rows) -> None:
    job = rows.job()
    shards.release(rows.ledger, rows.held(job))
    claim = rows.held(job, attempt=1)
    assert not leftovers.due(rows.ledger)
    assert jobs.move(rows.ledger, job.id, JobState.CANCELLED)
    assert not leftovers.due(rows.ledger)
    assert not rows.commit(claim)
    assert leftovers.due(rows.ledger) == {job.id: 2}


def test_job_whose_every_lease_ended_well_is_not_due(rows: Rows) -> None:
    job = rows.job(shard_count=1)
    assert rows.commit(rows.held(job))
    assert jobs.move(rows.ledger, job.id, JobState.SUCCEEDED)
    assert not leftovers.due(rows.ledger)


def test_what_is_marked_meanwhile_stays_due(rows: Rows) -> None:
    job = rows.job()
    assert jobs.move(rows.ledger, job.id, JobState.CANCELLED)
    leftovers.mark(rows.ledger, job.id)
    count = leftovers.due(rows.ledger)[job.id]
    leftovers.mark(rows.ledger, job.id)
    leftovers.clear(rows.ledger, job.id, count)
    assert leftovers.due(rows.ledger) == {job.id: 1}
    leftovers.clear(rows.ledger, job.id, 1)
    assert not leftovers.due(rows.ledger)


def test_who_hands_back_what_was_lost_before_marks_it(rows: Rows) -> None:
    job = rows.job()
    claim = rows.held(job, lease=-1.0)
    assert shards.expire(rows.ledger)
    assert jobs.move(rows.ledger, job.id, JobState.CANCELLED)
    leftovers.clear(rows.ledger, job.id, leftovers.due(rows.ledger)[job.id])
    shards.release(rows.ledger, claim)
    assert leftovers.due(rows.ledger) == {job.id: 1}


def test_marking_a_removed_job_is_nobodys(rows: Rows) -> None:
    leftovers.mark(rows.ledger, "gone")
    assert not leftovers.due(rows.ledger)
