"""Signals and orders: a shard ends, or goes back without penalty, within the time given."""

import signal
from typing import Any

import pytest
from sqlalchemy import update

from core.ledger import events, jobs, schema, workers
from core.ledger.states import JobState
from core.ledger.workers import Order
from tests.integration.workers.floor import TILE, Floor, Hand, until

RATE = TILE / 0.4
SLOW = {"fake_rate": TILE / 1.5, "lease_seconds": 120.0, "renew_seconds": 60.0}
"""Orders are heard between tiles, and by no renewal."""


def rendering(floor: Floor, samples: int = 10 * TILE, **changed: Any) -> tuple[str, Hand]:
    """A worker in the midst of a shard of so many samples."""
    job = floor.job(samples=samples, shard_samples=samples)
    hand = floor.worker(**{"fake_rate": RATE, **changed})
    floor.send(job)
    until(lambda: hand.events("shard.claimed"), "claimed")
    return job.id, hand


def drawing(floor: Floor) -> tuple[str, Hand]:
    """A worker that logs its tiles, in the midst of a shard of 60."""
    job = floor.job(samples=60 * TILE, shard_samples=60 * TILE)
    hand = floor.faulty_worker({}, **SLOW)
    floor.send(job)
    until(lambda: hand.events("tile.drawn"), "a tile is drawn")
    return job.id, hand


def given_up_within_a_tile(hand: Hand, reason: str) -> None:
    """The tile under way is drawn to its end; a busy machine may take one more to hear of it."""
    before = len(hand.events("tile.drawn"))
    until(lambda: hand.events("shard.released"), "given up between tiles")
    assert [event["reason"] for event in hand.events("shard.released")] == [reason]
    assert len(hand.events("tile.drawn")) - before <= 2


def test_terminated_worker_ends_a_shard_that_fits_into_its_grace(floor: Floor) -> None:
    job, hand = rendering(floor, samples=3 * TILE)
    hand.process.send_signal(signal.SIGTERM)
    assert hand.process.wait(30) == 0
    assert jobs.get(floor.ledger, job).state is JobState.FINALIZING


def test_terminated_worker_hands_back_what_does_not_fit_without_penalty(floor: Floor) -> None:
    job, hand = rendering(floor, samples=1000 * TILE, grace_seconds=60.0)
    hand.process.send_signal(signal.SIGTERM)
    assert hand.process.wait(20) == 0, "long before the grace is over"
    assert [event["reason"] for event in hand.events("shard.released")] == ["draining"]
    hints = floor.send(jobs.get(floor.ledger, job))
    assert [hint.attempt for hint in hints] == [1], "it may be claimed again at once"


def test_group_that_is_terminated_hands_back_like_its_worker(floor: Floor) -> None:
    job, hand = rendering(floor, samples=1000 * TILE, grace_seconds=0.5)
    hand.signal(signal.SIGTERM)
    assert hand.process.wait(30) == 0
    assert [event["reason"] for event in hand.events("shard.released")] == ["draining"]
    assert floor.send(jobs.get(floor.ledger, job))


def test_frozen_child_does_not_hold_up_the_stop_nor_cost_its_shard(floor: Floor) -> None:
    job, hand = rendering(floor, samples=1000 * TILE, grace_seconds=0.5)
    children = hand.children()
    floor.freeze(*children)
    hand.process.send_signal(signal.SIGTERM)
    assert hand.process.wait(30) == 75
    until(lambda: not any(child.is_running() for child in children), "the children are dead")
    assert floor.send(jobs.get(floor.ledger, job)), "handed back"
    told = [event.kind for event in events.of(floor.ledger, job)]
    assert "shard.released" in told
    assert "shard.orphaned" not in told


def test_idle_worker_ends_at_once(floor: Floor) -> None:
    hand = floor.worker()
    hand.process.send_signal(signal.SIGTERM)
    assert hand.process.wait(30) == 0
    assert not workers.live(floor.ledger, 60.0)


def test_drained_worker_ends_its_shard_however_long(floor: Floor) -> None:
    job, hand = rendering(floor, grace_seconds=0.0)
    workers.order(floor.ledger, [hand.id], Order.DRAIN)
    assert hand.process.wait(30) == 0
    assert jobs.get(floor.ledger, job).state is JobState.FINALIZING


def test_stopped_worker_hands_its_shard_back_after_the_grace(floor: Floor) -> None:
    job, hand = rendering(floor, samples=1000 * TILE, grace_seconds=0.5)
    workers.order(floor.ledger, [hand.id], Order.STOP)
    assert hand.process.wait(30) == 0
    assert hand.events("shard.released")
    assert floor.send(jobs.get(floor.ledger, job))


def test_file_that_appears_stops_a_worker_as_a_signal_does(floor: Floor) -> None:
    file = floor.settings.home / "to-go"
    job, hand = rendering(
        floor, samples=1000 * TILE, grace_seconds=0.5, notice_file=str(file), heartbeat_seconds=60.0
    )
    file.touch()
    assert hand.process.wait(30) == 0
    assert [event["reason"] for event in hand.events("shard.released")] == ["draining"]
    assert floor.send(jobs.get(floor.ledger, job)), "handed back"
    assert not workers.live(floor.ledger, 60.0)


def test_cancelled_job_ends_within_a_tile(floor: Floor) -> None:
    job, hand = drawing(floor)
    assert jobs.move(floor.ledger, job, JobState.CANCELLED)
    given_up_within_a_tile(hand, "cancelled")
    assert jobs.get(floor.ledger, job).samples_done == 0


def test_paused_job_frees_the_worker_and_goes_on_when_resumed(floor: Floor) -> None:
    job, hand = rendering(floor, samples=10 * TILE)
    assert jobs.move(floor.ledger, job, JobState.PAUSED)
    until(lambda: hand.events("shard.released"), "given back")
    assert [event["reason"] for event in hand.events("shard.released")] == ["paused"]
    assert not floor.send(jobs.get(floor.ledger, job)), "nothing of a paused job is hinted"
    assert jobs.move(floor.ledger, job, JobState.RUNNING)
    floor.send(jobs.get(floor.ledger, job))
    until(lambda: jobs.get(floor.ledger, job).state is JobState.FINALIZING, "finalizing")


@pytest.mark.parametrize(
    ("limit", "told"), [("deadline", "deadline: "), ("gpu_seconds", "budget: ")]
)
def test_limit_that_passes_while_a_shard_is_rendered_bites_within_a_tile(
    floor: Floor, limit: str, told: str
) -> None:
    job, hand = drawing(floor)
    with floor.ledger.write() as connection:
        connection.execute(update(schema.jobs).values({limit: 0.5}))
    given_up_within_a_tile(hand, "paused")
    paused = jobs.get(floor.ledger, job)
    assert paused.state is JobState.PAUSED
    assert (paused.error or "").startswith(told)
