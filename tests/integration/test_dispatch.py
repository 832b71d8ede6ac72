"""Hints on their way to the broker, with workers that a test plays by hand."""

import time
from dataclasses import replace

import pytest

from core.ledger import jobs, shards, workers
from core.ledger.states import JobState
from core.ledger.workers import Order, WorkerState
from orchestrator import dispatcher as dispatching
from orchestrator.dispatcher import Dispatcher
from tests.integration.depot import LEASE, SAMPLES, Depot
from tests.integration.yard import until


def test_no_more_messages_wait_than_there_are_slots(depot: Depot) -> None:
    depot.worker("w1", slots=3)
    depot.job(1000)
    for _ in range(5):
        depot.dispatcher.step()
        assert depot.waiting() == 3
    assert depot.claim()
    depot.dispatcher.step()
    assert depot.waiting() == 3


def test_rows_are_planned_only_a_window_ahead(depot: Depot) -> None:
    depot.worker("w1", slots=2)
    job = depot.job(100_000)
    depot.dispatcher.step()
    assert 2 <= jobs.get(depot.ledger, job).shards_planned < 50


def test_last_shard_holds_what_is_left(depot: Depot) -> None:
    depot.worker("w1", slots=4)
    depot.job(3)
    depot.dispatcher.step()
    claims = [depot.claim() for _ in range(3)]
    assert [claim.samples for claim in claims if claim] == [SAMPLES, SAMPLES, SAMPLES - 1]
    depot.dispatcher.step()
    assert depot.waiting() == 0


def test_nothing_is_sent_without_workers(depot: Depot) -> None:
    job = depot.job(5)
    depot.dispatcher.step()
    assert jobs.get(depot.ledger, job).shards_planned == 0


@pytest.mark.parametrize("state", [WorkerState.STARTING, WorkerState.DRAINING, WorkerState.GONE])
def test_worker_that_takes_no_work_counts_for_nothing(depot: Depot, state: WorkerState) -> None:
    depot.worker("w1")
    workers.beat(depot.ledger, "w1", state)
    depot.job(5)
    depot.dispatcher.step()
    assert depot.waiting() == 0


def test_worker_that_was_ordered_to_drain_counts_for_nothing(depot: Depot) -> None:
    depot.worker("w1")
    workers.order(depot.ledger, ["w1"], Order.DRAIN)
    depot.job(5)
    depot.dispatcher.step()
    assert depot.waiting() == 0


def test_urgent_job_overtakes_within_one_message_a_slot(depot: Depot) -> None:
    depot.worker("w1", slots=2)
    depot.job(100, owner="ann")
    depot.dispatcher.step()
    urgent = depot.job(100, owner="ann", priority=5)
    for _ in range(2):
        depot.claim()
    depot.dispatcher.step()
    assert [depot.take().job for _ in range(2)] == [urgent, urgent]


def test_owners_take_turns(depot: Depot) -> None:
    depot.worker("w1", slots=4)
    for _ in range(3):
        depot.job(50, owner="ann")
    ben = depot.job(50, owner="ben")
    depot.dispatcher.step()
    sent = [depot.take().job for _ in range(4)]
    assert sent.count(ben) == 2


def test_priority_does_not_go_before_another_owners_share(depot: Depot) -> None:
    depot.worker("w1", slots=4)
    depot.job(50, owner="ann", priority=100)
    ben = depot.job(50, owner="ben")
    depot.dispatcher.step()
    assert [depot.take().job for _ in range(4)].count(ben) == 2


def test_owners_weights_decide_who_gets_how_many(depot: Depot) -> None:
    weighted = replace(depot.settings, owner_weights="ann=3")
    depot.dispatcher = Dispatcher(depot.ledger, depot.publisher, weighted)
    depot.worker("w1", slots=8)
    depot.job(50, owner="ann")
    ben = depot.job(50, owner="ben")
    depot.dispatcher.step()
    assert [depot.take().job for _ in range(8)].count(ben) == 2


def test_job_has_no_more_workers_than_it_may(depot: Depot) -> None:
    depot.worker("w1", slots=2)
    depot.worker("w2", slots=2)
    narrow = depot.job(50, at_most=1)
    depot.dispatcher.step()
    assert depot.waiting() == 2
    assert depot.claim()
    claim = depot.claim()
    assert claim
    depot.dispatcher.step()
    assert depot.waiting() == 0
    shards.release(depot.ledger, claim)
    depot.dispatcher.step()
    assert depot.take().job == narrow


def test_last_shard_of_a_job_is_charged_what_it_took(depot: Depot) -> None:
    depot.worker("w1", slots=2)
    depot.job(1, owner="ann")
    ben = depot.job(50, owner="ben")
    depot.dispatcher.step()
    for claim in (depot.claim(), depot.claim()):
        assert claim
        depot.finish(claim, seconds=1.0 if claim.job == ben else 9.0)
    depot.job(50, owner="ann")
    depot.dispatcher.step()
    assert depot.take().job == ben


@pytest.mark.parametrize("count", [1, 100, 1000])
def test_statements_for_a_shard_do_not_grow_with_the_open_jobs(depot: Depot, count: int) -> None:
    depot.worker("w1", slots=2)
    for number in range(count):
        depot.job(1000, owner=f"owner {number % 7}")
    workers.beat(depot.ledger, "w1", WorkerState.READY)  # so many jobs take their time
    depot.dispatcher.step()
    run = []
    for _ in range(20):
        assert depot.claim()
        run.append(depot.statements())
    assert max(run) <= 6  # workers, hints, jobs, the hint itself; two for rows when they run out


def test_paused_job_gets_no_messages(depot: Depot) -> None:
    depot.worker("w1")
    job = depot.job(5)
    jobs.move(depot.ledger, job, JobState.PAUSED)
    depot.dispatcher.step()
    assert depot.waiting() == 0


def test_new_job_goes_where_most_slots_are_and_stays_with_its_class(depot: Depot) -> None:
    depot.worker("w1", "cpu", slots=1)
    depot.worker("w2", "gpu", slots=3)
    depot.job(50)
    depot.dispatcher.step()
    assert (depot.waiting("cpu"), depot.waiting("gpu")) == (0, 3)
    assert depot.claim("gpu", "w2")
    workers.gone(depot.ledger, "w2")
    depot.dispatcher.step()
    assert depot.waiting("cpu") == 0


def test_new_job_goes_to_a_smaller_class_when_long_shards_fill_the_largest(depot: Depot) -> None:
    depot.worker("w1", "cpu", slots=2)
    depot.worker("w2", "gpu", slots=4)
    depot.job(50)
    depot.dispatcher.step()
    for _ in range(4):
        claim = depot.claim("gpu", "w2")
        assert claim
        depot.finish(claim, seconds=9.0)
    depot.dispatcher.step()
    assert (depot.waiting("cpu"), depot.waiting("gpu")) == (0, 3)
    new = depot.job(50)
    depot.dispatcher.step()
    assert depot.waiting("gpu") == 3
    assert depot.take("cpu").job == new


def test_job_bound_to_an_absent_class_does_not_hold_up_others(depot: Depot) -> None:
    depot.worker("w1", "gpu", slots=1)
    depot.job(50)
    depot.dispatcher.step()
    assert depot.claim("gpu")
    depot.dispatcher.step()
    workers.gone(depot.ledger, "w1")
    depot.worker("w2", "cpu", slots=2)
    other = depot.job(50)
    depot.dispatcher.step()
    assert [depot.take("cpu").job for _ in range(2)] == [other, other]


def test_lost_messages_are_sent_again(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatching, "_LOST_SECONDS", 0.1)
    depot.worker("w1", slots=2)
    depot.job(2)
    depot.dispatcher.step()
    depot.flush()

    def sent_again() -> bool:
        depot.dispatcher.step()
        return depot.waiting() == 2

    until(sent_again, "both are sent again")
    assert depot.claim()
    assert depot.claim()


def test_messages_of_another_class_do_not_make_up_for_lost_ones(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "_LOST_SECONDS", 0.1)
    depot.worker("w2", "gpu", slots=4)
    ended = depot.job(50)
    depot.dispatcher.step()
    assert depot.claim("gpu", "w2")
    depot.dispatcher.step()
    jobs.move(depot.ledger, ended, JobState.CANCELLED)
    depot.worker("w1", "cpu", slots=2)
    lost = depot.job(3, priority=5)
    depot.dispatcher.step()
    assert depot.claim("cpu")
    depot.dispatcher.step()
    depot.flush("cpu")
    depot.job(50)
    depot.dispatcher.step()
    assert depot.claim("cpu")
    depot.dispatcher.step()
    assert (depot.waiting("cpu"), depot.waiting("gpu")) == (2, 4)

    def forgotten() -> bool:
        depot.dispatcher.step()
        return lost not in shards.queued_by_job(depot.ledger)

    until(forgotten, "the lost ones are noticed although no place is free", seconds=5.0)
    depot.flush("cpu")
    depot.dispatcher.step()
    assert [depot.take("cpu").job for _ in range(2)] == [lost, lost]


def test_messages_that_wait_long_are_not_taken_for_lost(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "_LOST_SECONDS", 0.05)
    depot.worker("w1", slots=2)
    depot.job(50)
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        depot.dispatcher.step()
    assert depot.waiting() == 2
    assert shards.queued(depot.ledger) == 2


def test_shards_that_wait_after_a_failure_leave_their_places_to_others(depot: Depot) -> None:
    depot.worker("w1", slots=1)
    failing = depot.job(1, owner="ann")
    depot.dispatcher.step()
    claim = depot.claim()
    assert claim
    shards.fail(depot.ledger, claim, "RuntimeError", "no luck", backoff=LEASE)
    other = depot.job(9, owner="ben")
    for _ in range(2):
        depot.dispatcher.step()
    assert depot.take().job == other != failing


def test_look_comes_soon_after_sending_and_seldom_when_idle(depot: Depot) -> None:
    depot.worker("w1")
    idle = [depot.dispatcher.step() for _ in range(9)]
    assert idle[-1] > 0.1
    depot.job(1)
    assert depot.dispatcher.step() < 0.05
