"""How many workers the work that waits is worth."""

from dataclasses import replace
from typing import Any

import pytest

from core.errors import UsageError
from core.ledger.jobs import OpenJob
from core.ledger.workers import Order, Worker, WorkerState
from core.request.plan import RENDERER_VERSION
from core.settings import Settings
from orchestrator.scaling import Demand, Goal, demands, goal

GOAL = Goal(target=600.0, idle=300.0, least=0, most=100, slots=2)
QUIET = 10_000.0


def job(**values: Any) -> OpenJob:
    """A job of 1,000 shards of 100 samples, at 60 seconds a shard so far: 10 are done."""
    facts: dict[str, Any] = dict.fromkeys(OpenJob._fields)
    counted = {"shards_done": 10, "samples_done": 1000, "samples_unfilled": 0}
    shape = {"total_samples": 100_000, "shard_count": 1000, "shard_samples": 100}
    told = {"id": "a", "numerics": "cpu", "shards_leased": 0, "render_seconds": 600.0}
    told["failures"] = "{}"
    return OpenJob(**{**facts, **shape, **counted, **told, **values})


def worker(name: str = "w", **values: Any) -> Worker:
    """A worker with two slots that takes work."""
    facts: dict[str, Any] = dict.fromkeys(Worker.__dataclass_fields__, 0.0)
    told = {"id": name, "device": "Device", "numerics": "cpu", "numerics_facts": {}, "slots": 2}
    state = {"state": WorkerState.READY, "order": Order.RUN, "samples_done": 0}
    return Worker(**{**facts, **told, **state, **values})


def wanted(*jobs: OpenJob, live: tuple[Worker, ...] = (), quiet: float | None = QUIET) -> list[int]:
    return [each.wanted for each in demands(jobs, live, live, quiet, GOAL)]


def test_workers_are_as_many_as_end_the_work_within_the_target() -> None:
    (found,) = demands([job()], [worker()], [worker()], QUIET, GOAL)
    assert found.gpu_seconds == pytest.approx(990 * 60.0)
    assert found.wanted == 50  # 59,400 s over 600 s are 99 slots
    assert found == Demand("cpu", "Device", 1, found.gpu_seconds, 1, 50)


def test_work_of_all_jobs_of_a_class_counts_together() -> None:
    half = job(id="b", total_samples=51_000, shard_count=510)
    assert wanted(job(), half, live=(worker(),)) == [75]


def test_each_class_wants_workers_of_its_own() -> None:
    gpu = worker("g", numerics="gpu", slots=1)
    found = demands(
        [job(), job(id="b", numerics="gpu", render_seconds=60.0)],
        [worker(), gpu],
        [worker(), gpu],
        QUIET,
        GOAL,
    )
    assert [(each.numerics, each.wanted) for each in found] == [("cpu", 50), ("gpu", 10)]


def test_job_in_progress_wants_its_class_although_nobody_of_it_is_there() -> None:
    gone = worker(state=WorkerState.GONE, numerics="old", device="Old")
    found = demands([job(numerics="old")], [gone, worker()], [worker()], QUIET, GOAL)
    assert [(each.numerics, each.device, each.wanted) for each in found] == [
        ("cpu", "Device", 0),
        ("old", "Old", 50),
    ]


def test_pace_of_a_new_job_is_that_of_its_class_also_when_all_have_left() -> None:
    new = job(shards_done=0, samples_done=0, render_seconds=0.0, total_samples=60_000)
    fast = worker(samples_done=1000, render_seconds=100.0)
    assert wanted(new, live=(fast,)) == [5]
    left = replace(fast, state=WorkerState.GONE)
    (found,) = demands([new], [left], [], QUIET, GOAL)
    assert found.gpu_seconds == pytest.approx(6000.0)


def test_first_job_of_an_empty_fleet_wants_somebody() -> None:
    new = job(numerics=None, shards_done=0, samples_done=0, render_seconds=0.0)
    assert wanted(new, quiet=0.0) == [1]


def test_new_job_is_worth_no_worker_of_another_renderer() -> None:
    old = worker(numerics="old", numerics_facts={"renderer": RENDERER_VERSION + 1})
    found = demands([job(numerics=None)], [old], [old], QUIET, GOAL)
    assert [(each.numerics, each.wanted) for each in found] == [("", 50), ("old", 0)]


def test_no_more_workers_are_wanted_than_have_a_shard_to_render() -> None:
    slow = job(shard_count=13, total_samples=1300, render_seconds=10_000.0)
    assert wanted(slow, live=(worker(),)) == [2]


def test_limit_of_workers_holds() -> None:
    assert wanted(job(workers=3), live=(worker(),)) == [3]
    assert wanted(job(workers=3), job(id="b"), live=(worker(),)) == [53]


def test_bounds_hold_for_each_class() -> None:
    bounded = replace(GOAL, least=2, most=7)
    assert [each.wanted for each in demands([job()], (), (), QUIET, bounded)] == [7]
    assert [each.wanted for each in demands([], (), (), None, bounded)] == [2]
    with pytest.raises(UsageError, match="min = 2"):
        goal(Settings(), 2, 1)


def test_idle_fleet_keeps_one_worker_for_a_while_and_then_none() -> None:
    three = tuple(worker(str(n)) for n in range(3))
    assert wanted(live=three, quiet=299.0) == [1]
    assert wanted(live=three, quiet=300.0) == [0]
    assert wanted(live=three, quiet=None) == [0]
    assert wanted(quiet=0.0) == [0], "none is started for what may come"


def test_workers_that_leave_do_not_count_as_there() -> None:
    leaving = worker("x", order=Order.DRAIN)
    (found,) = demands([job()], [worker(), leaving], [worker(), leaving], QUIET, GOAL)
    assert (found.workers, found.wanted) == (1, 50)
