"""Workers that die, sleep or are told to leave at any point of a shard's way."""

import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from core.faults import Point
from core.ledger import events
from core.ledger.jobs import Job
from orchestrator.mill import Mill
from tests.chaos.fleet import HINT_LOST, LEASE, MARGIN, Fleet, judge, until
from tests.chaos.plan import Action
from tests.chaos.table import Tell
from tests.integration.workers.floor import Hand

GRACE = 0.05
IDLE_IN_TRANSACTION = 2.0
SHARD_POINTS = [point for point in Point if point.startswith("worker.")]
IN_TRANSACTION = [Point.CLAIMING, Point.COMMITTING]


def tried(points: list[Point], in_every_run: Point) -> list[object]:
    """The points as parameters, of which one is tried in every test run."""
    marks = {point: () if point == in_every_run else pytest.mark.chaos for point in points}
    return [pytest.param(point, marks=marks[point], id=point) for point in points]


def bound(point: Point) -> float:
    """The most seconds that may go by until a shard is claimed again."""
    if point is Point.COMMITTED:
        return 0.0
    return (HINT_LOST if point is Point.CLAIMING else LEASE) + MARGIN


@pytest.mark.chaos
@pytest.mark.parametrize("point", SHARD_POINTS)
def test_shard_of_a_killed_child_is_made_anew(
    led: Fleet, undisturbed: str, victim: int, tell: Tell, point: Point
) -> None:
    fault = led.fault(point, "kill", victim)
    led.worker(fault)
    led.worker(fault)
    judge(led, led.submit(), undisturbed)
    tell("SIGKILL of a child", point, led.claimed_after(fault), bound(point))


@pytest.mark.parametrize("point", tried(SHARD_POINTS, Point.UPLOADED))
def test_shard_of_a_killed_worker_is_made_by_another(
    led: Fleet, undisturbed: str, victim: int, tell: Tell, point: Point
) -> None:
    fault = led.fault(point, "kill worker", victim)
    hands = [led.worker(fault), led.worker(fault)]
    judge(led, led.submit(), undisturbed)
    tell("SIGKILL of a worker", point, led.claimed_after(fault), bound(point))
    until(lambda: any(hand.process.poll() for hand in hands), "one is dead")


@pytest.mark.chaos
@pytest.mark.parametrize(("action", "who"), [("stop", "a child"), ("stop worker", "a worker")])
@pytest.mark.parametrize(
    "point", [Point.CLAIMED, Point.RENDERING, Point.RENDERED, Point.UPLOADING, Point.UPLOADED]
)
def test_zombie_that_comes_back_is_fenced_off(
    led: Fleet, undisturbed: str, victim: int, tell: Tell, point: Point, action: Action, who: str
) -> None:
    zombie, lost = sleep_past_the_lease(led, victim, point, action)
    zombie.signal(signal.SIGCONT)
    judge(led, job_of(led).id, undisturbed)
    until(lambda: fenced(zombie), "fenced")
    tell(f"SIGSTOP past the lease, of {who}", point, lost, bound(point))


@pytest.mark.parametrize(
    "point", tried([Point.RENDERED, Point.UPLOADING, Point.UPLOADED], Point.RENDERED)
)
def test_zombie_that_comes_back_when_the_job_is_over_leaves_nothing(
    led: Fleet, undisturbed: str, victim: int, tell: Tell, point: Point
) -> None:
    zombie, lost = sleep_past_the_lease(led, victim, point, "stop")
    judge(led, job_of(led).id, undisturbed)
    zombie.signal(signal.SIGCONT)
    until(lambda: fenced(zombie), "fenced")
    judge(led, job_of(led).id, undisturbed)
    tell("SIGSTOP past the job's end, of a child", point, lost, bound(point))


@pytest.mark.parametrize("point", tried(IN_TRANSACTION, Point.COMMITTING))
def test_worker_stopped_inside_a_transaction_does_not_stall_the_others(
    hurried: Fleet, undisturbed: str, victim: int, tell: Tell, point: Point
) -> None:
    zombie, lost = sleep_past_the_lease(hurried, victim, point, "stop")
    zombie.signal(signal.SIGCONT)
    judge(hurried, job_of(hurried).id, undisturbed)
    tell("SIGSTOP inside a transaction", point, lost, bound(point) + IDLE_IN_TRANSACTION)


@pytest.mark.chaos
def test_worker_that_is_terminated_with_long_grace_ends_its_shard(
    led: Fleet, undisturbed: str, victim: int, tell: Tell
) -> None:
    fault = led.fault(Point.RENDERING, "terminate", victim)
    hands = [led.worker(fault), led.worker(fault)]
    judge(led, led.submit(), undisturbed)
    until(lambda: 0 in [hand.process.poll() for hand in hands], "it has left")
    tell("SIGTERM, long grace", fault.point, led.claimed_after(fault), 0.0)
    assert not led.failures()


@pytest.mark.chaos
@pytest.mark.parametrize("at", [{"grace_seconds": GRACE}], indirect=True, ids=["short"])
def test_worker_that_is_terminated_with_short_grace_hands_its_shard_back(
    led: Fleet, undisturbed: str, victim: int, tell: Tell
) -> None:
    fault = led.fault(Point.RENDERING, "terminate", victim)
    led.worker(fault)
    led.worker(fault)
    job = led.submit()
    judge(led, job, undisturbed)
    tell("SIGTERM, short grace", fault.point, led.claimed_after(fault), MARGIN)
    assert not led.failures()
    assert "shard.released" in [event.kind for event in events.of(led.service.ledger, job)]


@pytest.mark.chaos
@pytest.mark.parametrize("point", [Point.RENDERED, Point.UPLOADED])
def test_shard_whose_making_raised_is_made_anew(
    led: Fleet, undisturbed: str, victim: int, tell: Tell, point: Point
) -> None:
    fault = led.fault(point, "raise", victim)
    led.worker(fault)
    led.worker(fault)
    judge(led, led.submit(), undisturbed)
    tell("an error", point, led.claimed_after(fault), MARGIN)
    assert led.failures() == 1


@pytest.fixture
def hurried(fleet: Fleet) -> Iterator[Fleet]:
    """A fleet whose database soon ends the transactions of those who sleep in one."""
    wait = f"options=-c%20idle_in_transaction_session_timeout%3D{IDLE_IN_TRANSACTION:.0f}s"
    url = f"{fleet.settings.database_url}?{wait}"
    fleet.settings = replace(fleet.settings, database_url=url)
    with Mill(fleet.settings, workers=0):
        yield fleet


def job_of(fleet: Fleet) -> Job:
    return fleet.service.list()[0]


def sleep_past_the_lease(
    fleet: Fleet, victim: int, point: Point, action: Action
) -> tuple[Hand, float]:
    """Who sleeps at the point, and the seconds until another claimed its shard."""
    fault = fleet.fault(point, action, victim)
    fleet.worker(fault)
    fleet.worker(fault)
    fleet.submit()
    zombie = fleet.stopped(fault)
    return zombie, until(lambda: fleet.claimed_after(fault), "claimed by another")


def fenced(hand: Hand) -> bool:
    return bool(hand.events("shard.fenced"))
