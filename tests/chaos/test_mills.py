"""Orchestrators that die or sleep at any step of finishing a job, and two at once."""

import signal

import pytest

from core.dataset.layout import CARD, INDEX, MANIFEST, PREVIEW
from core.faults import Point
from core.ledger import jobs
from tests.chaos.fleet import HINT_LOST, LEASE, MARGIN, Fleet, judge, until
from tests.chaos.plan import Action, Fault
from tests.chaos.table import Tell

FINISHING = 10.0
"""Seconds that finishing itself may take on a busy machine: all of it is done again."""

BOUND = LEASE + FINISHING + MARGIN
STEPS: list[tuple[Point, str | None]] = [
    (Point.FINALIZING, None),
    (Point.MERGED, None),
    (Point.COMPOSED, None),
    (Point.STORED, INDEX),
    (Point.STORED, PREVIEW),
    (Point.STORED, CARD),
    (Point.STORED, MANIFEST),
    (Point.REMOVED, None),
    (Point.CLEANED, None),
    (Point.SUCCEEDED, None),
]


@pytest.mark.chaos
@pytest.mark.parametrize(("point", "file"), STEPS, ids=lambda value: value and str(value))
def test_job_is_finished_by_another_when_the_leader_is_killed(
    fleet: Fleet, undisturbed: str, tell: Tell, point: Point, file: str | None
) -> None:
    fault = two_mills(fleet, point, "kill", file)
    job = fleet.submit()
    judge(fleet, job, undisturbed)
    tell("SIGKILL of the leader", name(fault), finished_after(fleet, job, fault), BOUND)


@pytest.mark.chaos
def test_job_is_finished_by_an_orchestrator_that_starts_anew(
    fleet: Fleet, undisturbed: str, tell: Tell
) -> None:
    fault = fleet.fault(Point.COMPOSED, "kill")
    alone = fleet.mill(fault)
    fleet.worker()
    job = fleet.submit()
    until(lambda: alone.process.poll() is not None, "it is dead")
    fleet.mill(fault)
    judge(fleet, job, undisturbed)
    tell("SIGKILL of the only orchestrator", name(fault), finished_after(fleet, job, fault))


@pytest.mark.chaos
def test_hints_that_a_killed_leader_did_not_send_are_sent_by_another(
    fleet: Fleet, undisturbed: str, victim: int, tell: Tell
) -> None:
    fault = two_mills(fleet, Point.HINTED, "kill", victim)
    judge(fleet, fleet.submit(), undisturbed)
    lost = fleet.claimed_after(fault)
    tell("SIGKILL of the leader", name(fault), lost, LEASE + HINT_LOST + MARGIN)


@pytest.mark.parametrize(
    ("point", "file"),
    [
        pytest.param(Point.STORED, INDEX, id="index"),
        pytest.param(Point.COMPOSED, None, marks=pytest.mark.chaos, id="composed"),
        pytest.param(Point.STORED, MANIFEST, marks=pytest.mark.chaos, id="manifest"),
        pytest.param(Point.REMOVED, None, marks=pytest.mark.chaos, id="removed"),
    ],
)
def test_leader_that_wakes_when_another_has_finished_the_job_changes_nothing(
    fleet: Fleet, undisturbed: str, tell: Tell, point: Point, file: str | None
) -> None:
    fault = two_mills(fleet, point, "stop", file)
    job = fleet.submit()
    sleeper = fleet.stopped(fault)
    judge(fleet, job, undisturbed)
    lost = finished_after(fleet, job, fault)
    before = fleet.service.job(job)
    sleeper.signal(signal.SIGCONT)
    (gone,) = until(lambda: sleeper.events("duty.failed"), "it has noticed that it leads no more")
    assert "another orchestrator may lead now" in gone["error"]
    assert not sleeper.events("job.succeeded")
    assert fleet.service.job(job) == before
    judge(fleet, job, undisturbed)
    tell("SIGSTOP of the leader past its lease", name(fault), lost, BOUND)


@pytest.mark.chaos
def test_leader_that_sleeps_while_it_sends_hints_is_replaced(
    fleet: Fleet, undisturbed: str, victim: int, tell: Tell
) -> None:
    fault = two_mills(fleet, Point.HINTED, "stop", victim)
    job = fleet.submit()
    sleeper = fleet.stopped(fault)
    until(lambda: fleet.claimed_after(fault), "the shard is claimed all the same")
    sleeper.signal(signal.SIGCONT)
    judge(fleet, job, undisturbed)
    lost = fleet.claimed_after(fault)
    bound = LEASE + HINT_LOST + MARGIN
    tell("SIGSTOP of the leader past its lease", name(fault), lost, bound)


def two_mills(fleet: Fleet, point: Point, action: Action, what: int | str | None) -> Fault:
    """Start two orchestrators, armed with the same fault, and a worker that is not."""
    fault = fleet.fault(point, action, what)
    fleet.mill(fault)
    fleet.mill(fault)
    fleet.worker(lease_seconds=90.0)  # deaf for two short leases, it would end, to be started anew
    return fault


def name(fault: Fault) -> str:
    """The point, and which file if it is passed for several."""
    return f"{fault.point} {fault.what}" if isinstance(fault.what, str) else fault.point


def finished_after(fleet: Fleet, job: str, fault: Fault) -> float:
    """Seconds from the fault to the job's end."""
    ended = jobs.get(fleet.service.ledger, job).finished_at
    assert ended is not None
    assert fault.fired is not None
    return max(0.0, ended - fault.fired)
