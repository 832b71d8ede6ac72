"""Workers that die, sleep or are told to leave at any point of a shard's way."""

from core.faults import Point
from tests.chaos.fleet import LEASE, MARGIN, Fleet, judge
from tests.chaos.table import Tell


def test_shard_of_a_killed_child_is_made_by_another(
    led: Fleet, undisturbed: str, victim: int, tell: Tell
) -> None:
    fault = led.fault(Point.RENDERING, "kill", victim)
    led.worker(fault)
    led.worker(fault)
    job = led.submit()
    judge(led, job, undisturbed)
    tell("SIGKILL of a child", fault.point, led.claimed_after(fault), LEASE + MARGIN)
