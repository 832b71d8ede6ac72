"""Deadlines and budgets, on every kind of ledger."""

import time
from typing import Any

import pytest
from sqlalchemy import update

from core.ledger import events, jobs, limits, schema, shards
from core.ledger.jobs import Job
from core.ledger.shards import Orders
from core.ledger.states import JobState
from tests.contracts.ledger_rows import Rows


def past() -> float:
    return time.time() - 10.0


def held(rows: Rows, **values: Any) -> tuple[Job, shards.Claim]:
    job = rows.job(**values)
    return job, rows.held(job)


def test_claim_after_the_deadline_pauses_the_job_and_says_why(rows: Rows) -> None:
    job = rows.job(deadline=past())
    assert rows.claim(job) is None
    job = rows.again(job)
    assert job.state is JobState.PAUSED
    assert (job.error or "").startswith("deadline: 20")
    last = events.of(rows.ledger, job.id)[-1]
    assert (last.kind, last.fields) == ("job.paused", {"error": job.error})
    assert rows.states(job) == ["pending"] * 3


def test_limits_that_are_far_do_nothing(rows: Rows) -> None:
    job, claim = held(rows, deadline=time.time() + 3600.0, gpu_seconds=100.0)
    assert shards.renew(rows.ledger, claim, 60.0, 5, 99.0) is Orders.GO
    assert rows.again(job).state is JobState.RUNNING
    assert limits.overdue(rows.ledger) == []


@pytest.mark.parametrize(("at_end", "orders"), [("stop", Orders.STOP), ("drain", Orders.GO)])
def test_renewal_after_the_deadline_stops_or_drains_the_shard(
    rows: Rows, at_end: str, orders: Orders
) -> None:
    job, claim = held(rows, gpu_seconds=100.0, at_end=at_end)
    with rows.ledger.write() as connection:
        connection.execute(update(schema.jobs).values(deadline=past()))
    assert shards.renew(rows.ledger, claim, 60.0, 5) is orders
    assert rows.again(job).state is JobState.PAUSED
    assert rows.claim(job, 1) is None


@pytest.mark.parametrize(("at_end", "orders"), [("stop", Orders.STOP), ("drain", Orders.GO)])
def test_spent_budget_stops_or_drains_the_shards_under_way(
    rows: Rows, at_end: str, orders: Orders
) -> None:
    job, one = held(rows, gpu_seconds=10.0, at_end=at_end)
    other = rows.held(job, 1)
    assert shards.renew(rows.ledger, one, 60.0, 5, 6.0) is Orders.GO
    assert shards.renew(rows.ledger, other, 60.0, 5, 6.0) is orders
    assert shards.renew(rows.ledger, one, 60.0, 6, 7.0) is orders
    assert rows.claim(job, 2) is None
    job = rows.again(job)
    assert job.state is JobState.PAUSED
    assert job.error == "budget: 12.0 of 10.0 GPU-seconds are spent"
    assert rows.commit(one), "what is finished counts"


def test_budget_that_is_spent_is_heard_between_renewals(rows: Rows) -> None:
    job, claim = held(rows, gpu_seconds=10.0)
    assert shards.orders(rows.ledger, claim, 60.0, 5, 9.0) is Orders.GO
    assert shards.orders(rows.ledger, claim, 60.0, 6, 11.0) is Orders.STOP
    assert rows.again(job).error == "budget: 11.0 of 10.0 GPU-seconds are spent"


def test_finished_shards_count_towards_the_budget(rows: Rows) -> None:
    job, claim = held(rows, gpu_seconds=0.5)
    assert rows.commit(claim)
    assert rows.claim(job, 1) is None
    job = rows.again(job)
    assert (job.state, job.samples_done) == (JobState.PAUSED, 10)
    assert job.error == "budget: 0.5 of 0.5 GPU-seconds are spent"


def test_workers_leave_a_draining_job_that_a_person_paused(rows: Rows) -> None:
    job, claim = held(rows, gpu_seconds=10.0, at_end="drain")
    assert jobs.move(rows.ledger, job.id, JobState.PAUSED)
    assert shards.renew(rows.ledger, claim, 60.0, 5, 1.0) is Orders.STOP


def test_workers_leave_a_draining_job_that_is_told_to_stop(rows: Rows) -> None:
    job, claim = held(rows, gpu_seconds=1.0, at_end="drain")
    assert shards.renew(rows.ledger, claim, 60.0, 5, 2.0) is Orders.GO
    limits.stop(rows.ledger, job.id)
    assert shards.renew(rows.ledger, claim, 60.0, 5, 3.0) is Orders.STOP
    assert (rows.again(job).error or "").startswith("budget: "), "why it is paused is still told"
    limits.stop(rows.ledger, job.id)
    told = [event.kind for event in events.of(rows.ledger, job.id)]
    assert told[-2:] == ["job.paused", "job.undrained"], "once"


def test_deadline_is_found_where_nobody_claims(rows: Rows) -> None:
    job, other = rows.job(deadline=past()), rows.job()
    assert limits.overdue(rows.ledger) == [job.id]
    limits.enforce(rows.ledger, job.id)
    limits.enforce(rows.ledger, other.id)
    assert limits.overdue(rows.ledger) == []
    assert rows.again(job).state is JobState.PAUSED
    assert rows.again(other).state is JobState.PLANNED


def test_lifted_limit_lets_the_job_go_on_and_leaves_the_other(rows: Rows) -> None:
    job = rows.job(deadline=past(), gpu_seconds=1.0)
    assert rows.claim(job) is None
    limits.lift(rows.ledger, rows.again(job))
    assert jobs.move(rows.ledger, job.id, JobState.RUNNING)
    job = rows.again(job)
    assert (job.deadline, job.gpu_seconds, job.error) == (None, 1.0, None)
    assert rows.claim(job)


@pytest.mark.parametrize(("limit", "was"), [("deadline", 1000.0), ("gpu_seconds", 0.0)])
def test_lifted_limit_is_told_once_with_what_it_was(rows: Rows, limit: str, was: float) -> None:
    values: dict[str, Any] = {limit: was}
    job = rows.job(**values)
    assert rows.claim(job) is None
    paused = rows.again(job)
    limits.lift(rows.ledger, paused)
    limits.lift(rows.ledger, paused)
    told = [(event.kind, event.fields) for event in events.of(rows.ledger, job.id)]
    assert told[-2][0] == "job.paused"
    assert told[-1] == ("job.unlimited", {"limit": limit, "was": was})


def test_lifting_leaves_the_limits_of_a_job_that_is_paused_for_another_reason(rows: Rows) -> None:
    job = rows.job(deadline=past())
    assert jobs.move(rows.ledger, job.id, JobState.PAUSED)
    limits.lift(rows.ledger, rows.again(job))
    assert rows.again(job).deadline == job.deadline
    assert events.of(rows.ledger, job.id)[-1].kind == "job.paused"


def test_drained_job_whose_last_shard_is_done_is_finished(rows: Rows) -> None:
    job, claim = held(rows, shard_count=1, gpu_seconds=1.0, at_end="drain")
    assert shards.renew(rows.ledger, claim, 60.0, 5, 2.0) is Orders.GO
    assert rows.commit(claim)
    job = rows.again(job)
    assert (job.state, job.error) == (JobState.FINALIZING, None)
