"""Whatever dies or sleeps, work is neither lost nor done twice."""

import signal

from core.ledger import shards, workers
from core.ledger.states import JobState
from tests.integration.workers.floor import Floor, Hand, until

SLOW = 40.0


def rendering(hand: Hand) -> None:
    until(lambda: hand.events("shard.claimed"), "claimed")


def expire(floor: Floor) -> None:
    until(lambda: shards.expire(floor.ledger), "expired")


def test_killed_child_is_replaced_and_its_shard_is_rendered_again(floor: Floor) -> None:
    job = floor.job(samples=64, shard_samples=64)
    hand = floor.worker(fake_rate=SLOW)
    floor.send(job)
    rendering(hand)
    for child in hand.children():
        child.kill()
    expire(floor)
    floor.send(job)
    until(lambda: floor.now(job).state is JobState.FINALIZING, "finalizing")
    assert hand.committed() == [2]


def test_children_die_with_a_killed_worker_and_another_takes_over(floor: Floor) -> None:
    job = floor.job(samples=64, shard_samples=64)
    first = floor.worker(fake_rate=SLOW)
    floor.send(job)
    rendering(first)
    children = first.children()
    assert children
    first.process.kill()
    first.process.wait()
    until(lambda: not any(child.is_running() for child in children), "the children are dead")
    workers.bury(floor.ledger, [first.id])
    second = floor.worker()
    floor.send(job)
    until(lambda: floor.now(job).state is JobState.FINALIZING, "finalizing")
    assert second.committed() == [2]


def test_worker_that_slept_past_its_lease_commits_nothing(floor: Floor) -> None:
    job = floor.job(samples=64, shard_samples=64)
    sleeper = floor.worker(fake_rate=SLOW)
    floor.send(job)
    rendering(sleeper)
    floor.freeze(*sleeper.children(), sleeper.parent())
    expire(floor)
    other = floor.worker()
    floor.send(job)
    until(lambda: floor.now(job).state is JobState.FINALIZING, "finalizing")
    before = floor.now(job)
    sleeper.signal(signal.SIGCONT)
    until(lambda: sleeper.events("shard.fenced"), "fenced")
    assert not sleeper.events("shard.committed")
    assert floor.now(job) == before
    assert other.committed() == [2]


def test_lease_is_kept_while_steps_complete(floor: Floor) -> None:
    job = floor.job(samples=256, shard_samples=256)
    hand = floor.worker(fake_rate=SLOW, lease_seconds=3.0)
    floor.send(job)
    rendering(hand)

    def done_unexpired() -> bool:
        assert not shards.expire(floor.ledger)
        return floor.now(job).state is JobState.FINALIZING

    until(done_unexpired, "finalizing")


def test_frozen_parent_is_not_believed_dead_by_its_child(floor: Floor) -> None:
    job = floor.job(samples=64, shard_samples=64)
    hand = floor.worker(fake_rate=SLOW)
    floor.send(job)
    rendering(hand)
    floor.freeze(hand.parent())
    until(lambda: floor.now(job).state is JobState.FINALIZING, "finalizing")
