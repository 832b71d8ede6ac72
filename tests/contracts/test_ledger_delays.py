"""What work waits for is told as long as it waits, and no longer."""

from core.ledger import delays, events, jobs, shards
from core.ledger.states import JobState
from tests.contracts.ledger_rows import Rows

WHY = "s3_endpoint = http://store: the store does not answer."


def test_delay_of_a_shard_is_told_until_its_lease_ends(rows: Rows) -> None:
    job = rows.job()
    first, second = rows.held(job, 0), rows.held(job, 1)
    assert delays.reason(rows.ledger, job) == ""
    for claim in (first, second):
        delays.tell(rows.ledger, job.id, WHY, claim)
    assert rows.commit(second)
    assert delays.reason(rows.ledger, job) == WHY
    shards.release(rows.ledger, first)
    assert delays.reason(rows.ledger, job) == ""
    rows.held(job, 0, attempt=1)
    assert delays.reason(rows.ledger, job) == "", "the next attempt renders"


def test_delay_of_finalizing_is_told_once_until_the_job_is_over(rows: Rows) -> None:
    job = rows.job(shard_count=1)
    assert rows.commit(rows.held(job))
    for _ in range(3):
        delays.tell(rows.ledger, job.id, WHY)
    assert [event.kind for event in events.of(rows.ledger, job.id)].count("job.delayed") == 1
    assert delays.reason(rows.ledger, jobs.get(rows.ledger, job.id)) == WHY
    assert jobs.move(rows.ledger, job.id, JobState.SUCCEEDED)
    assert delays.reason(rows.ledger, jobs.get(rows.ledger, job.id)) == ""


def test_delay_of_a_removed_job_is_nobodys(rows: Rows) -> None:
    delays.tell(rows.ledger, "gone", WHY)
    assert events.of(rows.ledger, "gone") == []
