"""A job's priority: told, and heard by who renders what goes later now."""

from typing import Any

import pytest

from core.errors import NotFoundError
from core.ledger import events, jobs, priorities, shards
from core.ledger.claims import Orders
from core.ledger.jobs import Job
from core.ledger.shards import Claim
from core.ledger.states import JobState
from tests.contracts.ledger_rows import Rows


@pytest.fixture
def busy(rows: Rows) -> Job:
    """A job of four shards: two are rendered, the first further than the second; two are sent."""
    rows.worker("w1")
    rows.worker("w2")
    job = rows.job(4)
    shards.hint(rows.ledger, job.id, 4, stale_after=60.0)
    for number, done in ((0, 9), (1, 3)):
        shards.renew(rows.ledger, rows.held(job, number, worker=f"w{number + 1}"), 60.0, done)
    return job


def heard(rows: Rows, job: Job, *numbers: int) -> list[Orders]:
    """What the holders of a job's shards hear."""
    held = (Claim(job.id, number, 1, 10, job.model, job.weights) for number in numbers)
    return [shards.orders(rows.ledger, claim, 60.0, 9) for claim in held]


def test_priority_is_changed_while_a_job_is_not_over_and_told(rows: Rows) -> None:
    job, urgent = rows.job(), rows.job(priority=1)
    assert jobs.runnable(rows.ledger)[0].id == urgent.id
    assert priorities.change(rows.ledger, job.id, 2)
    assert priorities.change(rows.ledger, job.id, 2)
    assert jobs.runnable(rows.ledger)[0].id == job.id
    told = [event for event in events.of(rows.ledger, job.id) if event.kind == "job.prioritised"]
    assert [event.fields for event in told] == [{"priority": 2, "was": 0}]
    jobs.move(rows.ledger, job.id, JobState.CANCELLED)
    assert not priorities.change(rows.ledger, job.id, 3)
    assert rows.again(job).priority == 2
    with pytest.raises(NotFoundError):
        priorities.change(rows.ledger, jobs.new_id(), 1)


def test_who_is_overtaken_gives_back_what_has_the_least_progress(rows: Rows, busy: Job) -> None:
    urgent = rows.job(1)
    assert priorities.change(rows.ledger, urgent.id, 1)
    assert heard(rows, busy, 0, 1) == [Orders.GO, Orders.FENCED]
    assert rows.states(busy) == ["leased", "pending", "pending", "pending"]
    assert rows.again(busy).shards_leased == 1
    assert not rows.again(busy).failures
    assert [e.shard for e in events.of(rows.ledger, busy.id) if e.kind == "shard.released"] == [1]


def test_what_was_sent_of_a_job_that_is_overtaken_is_no_claim_to_it(rows: Rows, busy: Job) -> None:
    priorities.change(rows.ledger, rows.job(1).id, 1)
    assert rows.claim(busy, 2) is None
    assert shards.queued(rows.ledger) == 0
    again = shards.hint(rows.ledger, busy.id, 4, stale_after=60.0)
    assert [(hint.shard, hint.attempt) for hint in again] == [(1, 1), (2, 1), (3, 1)]
    assert rows.claim(busy, 2, attempt=1)


def test_a_job_that_is_put_back_gives_way_to_those_that_overtake_it(rows: Rows, busy: Job) -> None:
    rows.job(1, priority=-1)
    rows.job(1, priority=-2)
    rows.job(1, priority=-5)
    priorities.change(rows.ledger, busy.id, -3)
    assert heard(rows, busy, 0, 1) == [Orders.FENCED] * 2
    assert rows.states(busy) == ["pending"] * 4


@pytest.mark.parametrize(
    ("other", "to"),
    [
        ({"owner": "bob"}, 1),
        ({"priority": 3}, 4),
        ({"priority": -3}, -1),
        ({"shard_count": 0}, 1),
    ],
)
def test_nothing_is_taken_back_for_who_overtakes_nobody(
    rows: Rows, busy: Job, other: dict[str, Any], to: int
) -> None:
    priorities.change(rows.ledger, rows.job(**{"shard_count": 1, **other}).id, to)
    assert heard(rows, busy, 0, 1) == [Orders.GO] * 2
    assert rows.claim(busy, 2)


def test_nothing_is_taken_back_for_who_has_all_the_workers_it_may(rows: Rows, busy: Job) -> None:
    urgent = rows.job(2, workers=1)
    rows.held(urgent)
    priorities.change(rows.ledger, urgent.id, 1)
    assert heard(rows, busy, 0, 1) == [Orders.GO] * 2


def test_nothing_is_taken_back_from_workers_that_could_not_render_it(rows: Rows, busy: Job) -> None:
    rows.worker("w3", numerics="n2")
    urgent = rows.job(2)
    rows.held(urgent, worker="w3", numerics="n2")
    priorities.change(rows.ledger, urgent.id, 1)
    assert heard(rows, busy, 0, 1) == [Orders.GO] * 2
