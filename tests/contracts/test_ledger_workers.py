"""Workers, leaders and models, on every kind of ledger."""

import pytest

from core.errors import NotFoundError
from core.ledger import connect, events, leader, models, shards, workers
from core.ledger.models import Model
from core.ledger.workers import Order, WorkerState
from core.messages import RenderHint
from tests.contracts.ledger_rows import FACTS, Rows, at_once


def test_registered_worker_is_live_with_all_that_it_said(rows: Rows) -> None:
    rows.worker("w1", slots=3)
    (worker,) = workers.live(rows.ledger, 60.0)
    assert (worker.id, worker.host, worker.pid, worker.started) == ("w1", "mill", 4711, 1.5)
    assert (worker.device, worker.numerics, worker.slots) == ("cpu", "n1", 3)
    assert worker.numerics_facts == FACTS
    assert (worker.state, worker.order) == (WorkerState.READY, Order.RUN)
    assert workers.facts(rows.ledger, "n1") == FACTS


def test_worker_that_registers_anew_begins_anew(rows: Rows) -> None:
    rows.worker("w1")
    workers.order(rows.ledger, ["w1"], Order.STOP)
    rows.worker("w1", pid=99)
    (worker,) = workers.list(rows.ledger)
    assert (worker.pid, worker.order, worker.failures) == (99, Order.RUN, 0)


def test_many_workers_of_one_class_register_at_once(ledger_url: str, rows: Rows) -> None:
    def register(number: int) -> None:
        ledger = connect(ledger_url)
        Rows(ledger).worker(f"w{number}")
        ledger.close()

    at_once(5, register)
    assert {worker.id for worker in workers.list(rows.ledger)} == {f"w{n}" for n in range(5)}


def test_order_is_heard_at_the_next_beat(rows: Rows) -> None:
    rows.worker("w1")
    rows.worker("w2")
    assert workers.order(rows.ledger, ["w1", "nobody"], Order.DRAIN) == 1
    assert workers.beat(rows.ledger, "w1", WorkerState.DRAINING) is Order.DRAIN
    assert workers.beat(rows.ledger, "w2", WorkerState.READY) is Order.RUN
    states = {worker.id: worker.state for worker in workers.list(rows.ledger)}
    assert states == {"w1": WorkerState.DRAINING, "w2": WorkerState.READY}


def test_unknown_worker_is_told_so_by_its_beat(rows: Rows) -> None:
    with pytest.raises(NotFoundError, match="w9"):
        workers.beat(rows.ledger, "w9", WorkerState.READY)
    with pytest.raises(NotFoundError, match="n9"):
        workers.facts(rows.ledger, "n9")


def test_silent_and_gone_workers_are_not_live(rows: Rows) -> None:
    rows.worker("w1")
    rows.worker("w2")
    assert workers.silent(rows.ledger, 60.0) == []
    assert len(workers.silent(rows.ledger, -1.0)) == 2
    assert workers.live(rows.ledger, -1.0) == []
    workers.gone(rows.ledger, "w1")
    assert [worker.id for worker in workers.live(rows.ledger, 60.0)] == ["w2"]
    assert [worker.id for worker in workers.silent(rows.ledger, -1.0)] == ["w2"]
    assert len(workers.list(rows.ledger)) == 2


def test_worker_that_was_thought_gone_is_live_again_when_it_beats(rows: Rows) -> None:
    rows.worker("w1")
    workers.gone(rows.ledger, "w1")
    workers.beat(rows.ledger, "w1", WorkerState.READY)
    assert len(workers.live(rows.ledger, 60.0)) == 1


def test_buried_workers_leave_their_shards_at_once(rows: Rows) -> None:
    rows.worker("w1")
    rows.worker("w2")
    job, other = rows.job(), rows.job()
    dead = rows.held(job, 0, worker="w1")
    rows.held(other, 0, worker="w1")
    rows.held(job, 1, worker="w2")
    assert rows.commit(rows.held(job, 2, worker="w1"))
    taken = workers.bury(rows.ledger, ["w1"])
    assert sorted(hint.job for hint in taken) == sorted([job.id, other.id])
    assert rows.states(job) == ["pending", "leased", "done"]
    assert rows.shard(job)["failures"] == 1
    assert [worker.id for worker in workers.live(rows.ledger, 60.0)] == ["w2"]
    assert not rows.commit(dead)
    event = events.of(rows.ledger, job.id)[-1]
    assert (event.kind, event.worker, event.shard) == ("shard.orphaned", "w1", 0)


def test_burial_after_an_outage_is_free(rows: Rows) -> None:
    rows.worker("w1")
    job = rows.job()
    rows.held(job)
    assert workers.bury(rows.ledger, ["w1"], free=True) == [RenderHint(job.id, 0, 1)]
    assert rows.shard(job)["failures"] == 0
    assert shards.hint(rows.ledger, job.id, 1, stale_after=60.0) == [RenderHint(job.id, 0, 1)]


def test_one_of_several_orchestrators_leads(ledger_url: str, rows: Rows) -> None:
    def run(number: int) -> bool:
        ledger = connect(ledger_url)
        got = leader.acquire(ledger, "mill", f"o{number}", 60.0)
        ledger.close()
        return got

    assert sum(at_once(4, run)) == 1


def test_leader_stays_until_it_resigns_or_falls_silent(rows: Rows) -> None:
    ledger = rows.ledger
    assert leader.acquire(ledger, "mill", "a", 60.0)
    assert leader.acquire(ledger, "mill", "a", 60.0)
    assert not leader.acquire(ledger, "mill", "b", 60.0)
    assert leader.acquire(ledger, "other role", "b", 60.0)
    leader.resign(ledger, "mill", "b")
    assert not leader.acquire(ledger, "mill", "b", 60.0)
    leader.resign(ledger, "mill", "a")
    assert leader.acquire(ledger, "mill", "b", -1.0)
    assert leader.acquire(ledger, "mill", "a", 60.0)


def test_models_are_found_by_hash_and_the_newest_by_name(rows: Rows) -> None:
    old = Model("1" * 64, "forest-16", "{}", "models/1.safetensors", 10)
    new = Model("2" * 64, "forest-16", "{}", "models/2.safetensors", 20)
    models.add(rows.ledger, old)
    models.add(rows.ledger, new)
    models.add(rows.ledger, old)
    assert models.get(rows.ledger, "forest-16") == new
    assert models.get(rows.ledger, "1" * 64) == old
    assert models.list(rows.ledger) == [new, old]
    with pytest.raises(NotFoundError, match="desert-16"):
        models.get(rows.ledger, "desert-16")
