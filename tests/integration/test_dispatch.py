"""Hints on their way to the broker, with workers that a test plays by hand."""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from core.ledger import Ledger, connect, jobs, shards, workers
from core.ledger.jobs import NewJob
from core.ledger.shards import Claim, Result
from core.ledger.states import JobState
from core.ledger.upgrade import upgrade
from core.ledger.workers import NewWorker, Order, WorkerState
from core.messages import RenderHint, queue
from core.settings import Settings
from orchestrator import dispatcher as dispatching
from orchestrator.broker import PrivateBroker, client
from orchestrator.dispatcher import Dispatcher
from orchestrator.publisher import Publisher
from tests.integration.yard import until

LEASE = 60.0
SAMPLES = 32


@dataclass
class Depot:
    """A dispatcher between a real ledger and a real broker."""

    settings: Settings
    ledger: Ledger
    publisher: Publisher
    dispatcher: Dispatcher = field(init=False)
    added: int = 0

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(self.ledger, self.publisher, self.settings)

    def worker(self, name: str, numerics: str = "cpu", slots: int = 2) -> None:
        facts = {"class": numerics}
        new = NewWorker(name, "elsewhere", 1, 0.0, "none", numerics, facts, slots)
        workers.register(self.ledger, new)
        workers.beat(self.ledger, name, WorkerState.READY)

    def job(
        self, count: int, owner: str = "ann", priority: int = 0, at_most: int | None = None
    ) -> str:
        self.added += 1
        new = NewJob(
            id=jobs.new_id(),
            owner=owner,
            name=f"job {self.added}",
            request="{}",
            request_digest=f"{self.added:064x}",
            model="dungeon-32",
            weights="0" * 64,
            total_samples=count * SAMPLES - 1,
            shard_count=count,
            shard_samples=SAMPLES,
            context_count=1,
            priority=priority,
            workers=at_most,
        )
        return jobs.add(self.ledger, new)[0].id

    def waiting(self, numerics: str = "cpu") -> int:
        return self.publisher.waiting(queue(numerics))

    def take(self, numerics: str = "cpu") -> RenderHint:
        """The next message, as a worker would get it."""
        with client(self.settings.broker_url) as opened:
            raw = opened.rpop(self.settings.broker_prefix + queue(numerics))
        assert isinstance(raw, bytes), "no message waits"
        _, payload, _ = json.loads(base64.b64decode(json.loads(raw)["body"]))
        return RenderHint(**payload)

    def claim(self, numerics: str = "cpu", worker: str = "w1") -> Claim | None:
        return shards.claim(self.ledger, self.take(numerics), worker, numerics, LEASE)

    def finish(self, claim: Claim, seconds: float) -> None:
        digest = f"{claim.shard:064x}"
        done = Result("key", digest, 1, "part", digest, claim.samples, digest, seconds)
        assert shards.commit(self.ledger, claim, done)

    def statements(self) -> int:
        """What the next look asks of the database."""
        run: list[str] = []

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            if not statement.startswith("BEGIN"):
                run.append(statement)

        event.listen(self.ledger.engine, "before_cursor_execute", note)
        self.dispatcher.step()
        event.remove(self.ledger.engine, "before_cursor_execute", note)
        return len(run)

    def flush(self, numerics: str = "cpu") -> None:
        with client(self.settings.broker_url) as opened:
            opened.delete(self.settings.broker_prefix + queue(numerics))


@pytest.fixture
def depot(tmp_path: Path) -> Iterator[Depot]:
    broker = PrivateBroker(tmp_path, tmp_path / "broker.log")
    broker.start()
    settings = Settings(home=tmp_path, broker_url=broker.url)
    upgrade(settings.ledger_url)
    ledger = connect(settings.ledger_url)
    with Publisher(settings, broker.url) as publisher:
        yield Depot(settings, ledger, publisher)
    ledger.close()
    broker.stop()


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


class Lone:
    """A single slot that renders a huge job whose next message waits."""

    def __init__(self, depot: Depot, seconds: float = 20.0) -> None:
        self.depot = depot
        depot.worker("w1", slots=1)
        self.huge = depot.job(1000)
        depot.dispatcher.step()
        self.finish(seconds)
        assert depot.claim()
        depot.dispatcher.step()
        assert depot.waiting() == 1

    def finish(self, seconds: float) -> None:
        claim = self.depot.claim()
        assert claim
        self.depot.finish(claim, seconds)
        self.depot.dispatcher.step()

    def next(self) -> str:
        """The job of the next message that is of use."""
        while (claim := self.depot.claim()) is None:
            pass
        return claim.job


@pytest.mark.parametrize("owner", ["ann", "ben"])
def test_newcomer_waits_for_one_shard_of_a_single_slot(depot: Depot, owner: str) -> None:
    lone = Lone(depot)
    small = depot.job(1, owner=owner)
    for _ in range(3):
        depot.dispatcher.step()
    assert lone.next() == small
    depot.dispatcher.step()
    assert lone.next() == lone.huge


def test_newcomers_do_not_overtake_each_other_at_a_single_slot(depot: Depot) -> None:
    lone = Lone(depot)
    first = depot.job(2, owner="ben")
    depot.dispatcher.step()
    second = depot.job(2, owner="eve")
    depot.dispatcher.step()
    assert lone.next() == first
    depot.dispatcher.step()
    assert lone.next() == second


def test_newcomer_of_less_priority_does_not_overtake_at_a_single_slot(depot: Depot) -> None:
    lone = Lone(depot)
    depot.job(1, priority=-1)
    depot.dispatcher.step()
    assert lone.next() == lone.huge


def test_short_shards_are_not_recalled_at_a_single_slot(depot: Depot) -> None:
    lone = Lone(depot, seconds=0.1)
    depot.job(1, owner="ben")
    depot.dispatcher.step()
    assert lone.next() == lone.huge


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
