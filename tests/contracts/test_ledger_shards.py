"""Planning, hinting and reading shards, on every kind of ledger."""

from core.ledger import connect, jobs, shards
from core.ledger.states import JobState
from core.messages import RenderHint
from tests.contracts.ledger_rows import Rows, at_once


def test_rows_are_planned_a_window_at_a_time(rows: Rows) -> None:
    job, _ = jobs.add(rows.ledger, rows.new(shard_count=1_000_000, total_samples=10_000_000))
    assert shards.plan_rows(rows.ledger, job.id, 0, [10, 10])
    assert shards.plan_rows(rows.ledger, job.id, 2, [10, 4])
    assert rows.again(job).shards_planned == 4
    assert [rows.shard(job, number)["samples"] for number in range(4)] == [10, 10, 10, 4]


def test_one_of_two_planners_at_once_plans_the_window(ledger_url: str, rows: Rows) -> None:
    job, _ = jobs.add(rows.ledger, rows.new(shard_count=9))

    def plan(_: int) -> bool:
        ledger = connect(ledger_url)
        planned = shards.plan_rows(ledger, job.id, 0, [10, 10, 10])
        ledger.close()
        return planned

    assert sorted(at_once(2, plan)) == [False, True]
    assert rows.states(job) == ["pending"] * 3


def test_ended_jobs_are_not_planned_on(rows: Rows) -> None:
    job, _ = jobs.add(rows.ledger, rows.new())
    assert jobs.move(rows.ledger, job.id, JobState.CANCELLED)
    assert not shards.plan_rows(rows.ledger, job.id, 0, [10])
    assert rows.states(job) == []


def test_hints_come_in_order_and_not_twice_until_stale(rows: Rows) -> None:
    job = rows.job(shard_count=4)
    first = shards.hint(rows.ledger, job.id, 3, stale_after=60.0)
    assert first == [RenderHint(job.id, number, 0) for number in range(3)]
    assert shards.hint(rows.ledger, job.id, 3, stale_after=60.0) == [RenderHint(job.id, 3, 0)]
    assert shards.hint(rows.ledger, job.id, 3, stale_after=60.0) == []
    assert shards.hint(rows.ledger, job.id, 3, stale_after=-1.0) == first


def test_two_dispatchers_at_once_hint_each_shard_once(ledger_url: str, rows: Rows) -> None:
    job = rows.job(shard_count=20)

    def dispatch(_: int) -> list[RenderHint]:
        ledger = connect(ledger_url)
        hints = [
            hint for _ in range(4) for hint in shards.hint(ledger, job.id, 5, stale_after=60.0)
        ]
        ledger.close()
        return hints

    sent = [hint.shard for hints in at_once(2, dispatch) for hint in hints]
    assert sorted(sent) == list(range(20))


def test_lost_hints_are_sent_again(rows: Rows) -> None:
    job = rows.job()
    shards.hint(rows.ledger, job.id, 2, stale_after=60.0)
    assert shards.unhint(rows.ledger, 60.0) == 0
    assert shards.unhint(rows.ledger, -1.0) == 2
    assert shards.queued(rows.ledger) == 0
    assert len(shards.hint(rows.ledger, job.id, 9, stale_after=60.0)) == 3


def test_queued_counts_what_a_class_of_workers_could_claim(rows: Rows) -> None:
    bound, free = rows.job(), rows.job()
    rows.held(bound, 0, numerics="n1")
    shards.hint(rows.ledger, bound.id, 2, stale_after=60.0)
    shards.hint(rows.ledger, free.id, 1, stale_after=60.0)
    assert shards.queued(rows.ledger) == 3
    assert shards.queued(rows.ledger, "n1") == 3
    assert shards.queued(rows.ledger, "n2") == 1
    assert shards.queued_by_job(rows.ledger) == {bound.id: 2, free.id: 1}
    rows.held(free, 0, numerics="n1")
    assert shards.queued_by_job(rows.ledger) == {bound.id: 2}


def test_cancelled_jobs_have_nothing_queued(rows: Rows) -> None:
    job = rows.job()
    shards.hint(rows.ledger, job.id, 3, stale_after=60.0)
    assert jobs.move(rows.ledger, job.id, JobState.CANCELLED)
    assert shards.queued(rows.ledger) == 0
    assert shards.hint(rows.ledger, job.id, 3, stale_after=-1.0) == []


def test_done_shards_are_read_in_pages_by_number(rows: Rows) -> None:
    job = rows.job(shard_count=5)
    for number in (4, 0, 3, 1):
        assert rows.commit(rows.held(job, number))
    page = shards.done(rows.ledger, job.id, limit=2)
    assert [done.number for done in page] == [0, 1]
    page = shards.done(rows.ledger, job.id, after=1, limit=2)
    assert [done.number for done in page] == [3, 4]


def test_progress_sums_the_shards_under_way(rows: Rows) -> None:
    job = rows.job()
    assert shards.progress(rows.ledger, job.id) == (0, 0, 0.0, None, None)
    for number, samples, seconds in ((0, 4, 2.0), (1, 5, 0.5), (2, 0, 0.25)):
        shards.renew(rows.ledger, rows.held(job, number), 60.0, samples, seconds)
    assert shards.progress(rows.ledger, job.id) == (9, 3, 2.75, 0.1, 0.5)


def test_shards_in_hand_are_those_that_are_leased_with_what_is_rendered_of_them(rows: Rows) -> None:
    job, other = rows.job(), rows.job()
    shards.renew(rows.ledger, rows.held(job, 1, worker="w1"), 60.0, 4, 2.0)
    rows.held(other, 0, worker="w2")
    shards.release(rows.ledger, rows.held(job, 0))
    assert rows.commit(rows.held(job, 2))
    of_these = [each for each in shards.in_hand(rows.ledger) if each.job in (job.id, other.id)]
    assert sorted(of_these) == [("w1", job.id, 1, 10, 4, 2.0), ("w2", other.id, 0, 10, 0, 0.0)]
