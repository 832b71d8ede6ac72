"""Clocks that jump, and workers that are not as the others."""

import pytest

from core import weights
from core.faults import Point
from core.ledger import shards
from tests.chaos.fleet import MARGIN, Fleet, judge, until
from tests.chaos.table import Tell

HOUR = 3600.0
PATIENCE = 30.0
"""Seconds that a worker tries again what a server refuses, before it hands back."""


@pytest.mark.parametrize(
    ("jump", "point"),
    [
        pytest.param(HOUR, Point.RENDERING, id="forward"),
        pytest.param(-HOUR, Point.RENDERING, marks=pytest.mark.chaos, id="back"),
        pytest.param(HOUR, Point.COMMITTED, marks=pytest.mark.chaos, id="forward, later"),
        pytest.param(-HOUR, Point.COMMITTED, marks=pytest.mark.chaos, id="back, later"),
    ],
)
def test_jump_of_a_workers_clock_changes_nothing(
    led: Fleet, undisturbed: str, victim: int, tell: Tell, jump: float, point: Point
) -> None:
    fault = led.fault(point, "clock", victim, amount=jump)
    led.worker(fault)
    judge(led, led.submit(), undisturbed)
    assert fault.fired
    tell(f"wall clock {jump / HOUR:+.0f} h", point, led.claimed_after(fault), 0.0)


@pytest.mark.chaos
@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_worker_whose_clock_the_store_refuses_hands_back_without_penalty(
    led: Fleet, undisturbed: str, victim: int, tell: Tell, jump: float
) -> None:
    fault = led.fault(Point.RENDERED, "signing clock", victim, amount=jump)
    hand = led.worker(fault)
    job = led.submit()
    until(lambda: hand.events("shard.released"), "handed back")
    assert "clock" in hand.events("shard.released")[0]["error"]
    hand.process.terminate()
    led.worker()
    judge(led, job, undisturbed)
    assert not led.failures()
    lost = led.claimed_after(fault)
    tell(f"S3 signed {jump / HOUR:+.0f} h off", fault.point, lost, PATIENCE + MARGIN)


@pytest.mark.chaos
def test_worker_of_another_class_never_joins_a_job(
    led: Fleet, undisturbed: str, victim: int, tell: Tell
) -> None:
    fault = led.fault(Point.UPLOADED, "kill worker", victim)
    right = led.worker(fault)
    job = led.submit()
    until(lambda: right.events("shard.claimed"), "the job is bound")
    other = led.worker(led.fault(Point.COMMITTED, "raise", -1), {"TORCH": "9.9"})
    until(lambda: other.events("worker.ready"), "the other is there")
    until(lambda: right.process.poll() is not None, "the right one is dead")
    until(lambda: shards.progress(led.service.ledger, job).leased == 0, "its lease ran out")
    led.worker()
    judge(led, job, undisturbed)
    assert not other.events("shard.claimed")
    tell("a worker of another class", fault.point)


@pytest.mark.chaos
def test_worker_that_bundles_other_weights_makes_the_job_of_its_own(
    led: Fleet, undisturbed: str, tell: Tell
) -> None:
    ours = weights.bundled()
    cache = led.settings.home / "cache" / f"{weights.sha256(ours)}.safetensors"
    other = cache.with_name("other.safetensors")
    cache.parent.mkdir()
    for path in (cache, other):
        path.write_bytes(ours.read_bytes() + b"\0")
    hand = led.worker(led.fault(Point.COMMITTED, "raise", -1), {"WEIGHTS": str(other)})
    judge(led, led.submit(), undisturbed)
    assert not hand.events("shard.failed")
    tell("other weights, bundled and cached", Point.CLAIMED)
