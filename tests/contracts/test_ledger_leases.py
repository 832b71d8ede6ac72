"""Claims, renewals and commits, on every kind of ledger."""

import subprocess
import sys
import time

import pytest

from core.ledger import Ledger, connect, events, jobs, shards, workers
from core.ledger.shards import Orders
from core.ledger.states import JobState, ShardState
from core.messages import RenderHint
from tests.contracts.ledger_rows import WEIGHTS, Rows, at_once, result


def _untouched(rows: Rows, job: jobs.Job) -> tuple[object, ...]:
    now = rows.again(job)
    return (now, rows.shard(job), events.of(rows.ledger, job.id))


def test_claim_leases_the_shard_and_starts_the_job(rows: Rows) -> None:
    job = rows.job()
    claim = rows.held(job, 1)
    assert (claim.job, claim.shard, claim.attempt, claim.samples) == (job.id, 1, 1, 10)
    assert (claim.model, claim.weights) == ("dungeon-32", WEIGHTS)
    row = rows.shard(job, 1)
    assert (row["state"], row["worker"], row["hinted_at"]) == ("leased", "w1", None)
    job = rows.again(job)
    assert (job.state, job.numerics, job.shards_leased) == (JobState.RUNNING, "n1", 1)
    assert job.started_at


def test_one_of_many_racing_workers_wins_each_shard(ledger_url: str, rows: Rows) -> None:
    job = rows.job(shard_count=5)
    racers = 6

    def race(number: int) -> list[int]:
        ledger = connect(ledger_url)
        hints = [RenderHint(job.id, shard, 0) for shard in range(5)]
        claims = [shards.claim(ledger, hint, f"w{number}", "n1", 60.0) for hint in hints]
        ledger.close()
        return [claim.shard for claim in claims if claim]

    won = at_once(racers, race)
    assert sorted(shard for shards_won in won for shard in shards_won) == [0, 1, 2, 3, 4]
    assert rows.again(job).shards_leased == 5


def test_first_claims_race_for_the_class_of_arithmetic_and_one_binds_it(
    ledger_url: str, rows: Rows
) -> None:
    job = rows.job(shard_count=4)

    def race(number: int) -> str | None:
        ledger = connect(ledger_url)
        hint = RenderHint(job.id, number, 0)
        claim = shards.claim(ledger, hint, f"w{number}", f"n{number}", 60.0)
        ledger.close()
        return f"n{number}" if claim else None

    winners = [numerics for numerics in at_once(4, race) if numerics]
    assert winners == [rows.again(job).numerics]


def test_duplicate_and_reordered_hints_are_harmless(rows: Rows) -> None:
    job = rows.job()
    first = rows.held(job)
    assert rows.claim(job) is None
    assert rows.claim(job, attempt=1) is None
    shards.release(rows.ledger, first)
    before = _untouched(rows, job)
    assert rows.claim(job, attempt=0) is None
    assert rows.claim(job, attempt=7) is None
    assert _untouched(rows, job) == before
    assert rows.held(job, attempt=1).attempt == 2


@pytest.mark.parametrize(("job_id", "shard"), [("nosuchjob123", 0), (None, 99)])
def test_hint_for_what_is_not_there_is_refused(rows: Rows, job_id: str | None, shard: int) -> None:
    job = rows.job()
    hint = RenderHint(job_id or job.id, shard, 0)
    assert shards.claim(rows.ledger, hint, "w1", "n1", 60.0) is None


def test_another_class_of_arithmetic_is_refused_and_its_hint_may_be_sent_again(
    rows: Rows,
) -> None:
    job = rows.job()
    rows.held(job, 0, numerics="n1")
    assert shards.hint(rows.ledger, job.id, 1, stale_after=60.0)
    assert rows.claim(job, 1, numerics="n2") is None
    assert shards.hint(rows.ledger, job.id, 1, stale_after=60.0) == [RenderHint(job.id, 1, 0)]


def test_paused_job_refuses_claims_until_it_is_resumed(rows: Rows) -> None:
    job = rows.job()
    assert shards.hint(rows.ledger, job.id, 1, stale_after=60.0)
    assert jobs.move(rows.ledger, job.id, JobState.PAUSED)
    assert rows.claim(job) is None
    assert shards.hint(rows.ledger, job.id, 5, stale_after=60.0) == []
    assert jobs.move(rows.ledger, job.id, JobState.RUNNING)
    assert len(shards.hint(rows.ledger, job.id, 5, stale_after=60.0)) == 3
    assert rows.held(job)


def test_renewal_lengthens_the_lease_and_tells_progress(rows: Rows) -> None:
    job = rows.job()
    claim = rows.held(job, lease=5.0)
    before = rows.shard(job)["lease_until"]
    assert shards.renew(rows.ledger, claim, 500.0, 7) is Orders.GO
    assert rows.shard(job)["lease_until"] > before + 400
    assert shards.progress(rows.ledger, job.id)[:2] == (7, 1)


def test_hearing_orders_leaves_the_lease_as_it_is(rows: Rows) -> None:
    job = rows.job()
    claim = rows.held(job)
    before = rows.shard(job)
    assert shards.orders(rows.ledger, claim, 500.0, 7) is Orders.GO
    assert rows.shard(job) == before


@pytest.mark.parametrize(
    ("to", "orders", "after"),
    [
        (JobState.PAUSED, Orders.STOP, ShardState.PENDING),
        (JobState.CANCELLED, Orders.CANCEL, ShardState.CANCELLED),
        (JobState.FAILED, Orders.CANCEL, ShardState.CANCELLED),
    ],
)
def test_orders_are_heard_at_renewal_and_obeyed_by_a_release(
    rows: Rows, to: JobState, orders: Orders, after: ShardState
) -> None:
    job = rows.job()
    claim = rows.held(job)
    assert jobs.move(rows.ledger, job.id, to)
    assert rows.again(job).shards_leased == 1
    assert shards.orders(rows.ledger, claim, 60.0, 1) is orders
    assert shards.renew(rows.ledger, claim, 60.0, 1) is orders
    shards.release(rows.ledger, claim)
    assert rows.shard(job)["state"] == after
    assert rows.again(job).shards_leased == 0


def test_commit_records_the_shard_and_moves_every_counter(rows: Rows) -> None:
    job = rows.job()
    rows.worker("w1")
    claim = rows.held(job, 2)
    assert rows.commit(claim)
    (done,) = shards.done(rows.ledger, job.id)
    assert (done.number, done.samples, done.size) == (2, 10, 1000)
    assert (done.key, done.sha256) == (result(claim).key, result(claim).sha256)
    job = rows.again(job)
    assert (job.shards_done, job.samples_done, job.bytes_done) == (1, 10, 1000)
    assert (job.shards_leased, job.render_seconds, job.state) == (0, 0.5, JobState.RUNNING)
    (worker,) = workers.list(rows.ledger)
    assert (worker.samples_done, worker.render_seconds) == (10, 0.5)


def test_whoever_lost_the_lease_changes_nothing(rows: Rows) -> None:
    job = rows.job()
    zombie = rows.held(job, worker="w1", lease=-1.0)
    assert shards.expire(rows.ledger) == [RenderHint(job.id, 0, 1)]
    heir = rows.held(job, attempt=1, worker="w2")
    before = _untouched(rows, job)
    assert shards.orders(rows.ledger, zombie, 60.0, 9) is Orders.FENCED
    assert shards.renew(rows.ledger, zombie, 60.0, 9) is Orders.FENCED
    assert not rows.commit(zombie)
    shards.release(rows.ledger, zombie)
    state = shards.fail(rows.ledger, zombie, "Error", "late", backoff=0.0)
    assert state is ShardState.LEASED
    assert _untouched(rows, job) == before
    assert rows.commit(heir)


def test_commit_may_be_repeated_when_its_answer_was_lost(rows: Rows) -> None:
    job = rows.job()
    claim = rows.held(job)
    assert rows.commit(claim)
    before = _untouched(rows, job)
    assert rows.commit(claim)
    assert _untouched(rows, job) == before


def test_claim_may_be_repeated_when_its_answer_was_lost(rows: Rows) -> None:
    job = rows.job()
    held, hint = rows.held(job), RenderHint(job.id, 0, 0)
    assert rows.claim(job) is None  # the same hint heard twice is no second claim
    for worker, theirs in (("w1", held), ("w2", None)):
        found = shards.claim(rows.ledger, hint, worker, "n1", 60.0, again=True)
        assert found == theirs
    assert rows.again(job).shards_leased == 1


def test_lease_that_ran_out_but_was_not_taken_back_still_commits(rows: Rows) -> None:
    job = rows.job()
    assert rows.commit(rows.held(job, lease=-1.0))
    assert shards.expire(rows.ledger) == []


def test_commit_after_a_cancel_is_refused_and_the_shard_cancelled(rows: Rows) -> None:
    job = rows.job()
    assert rows.commit(rows.held(job, 0))
    late = rows.held(job, 1)
    assert jobs.move(rows.ledger, job.id, JobState.CANCELLED)
    assert rows.states(job) == ["done", "leased", "cancelled"]
    assert not rows.commit(late)
    assert rows.states(job) == ["done", "cancelled", "cancelled"]
    job = rows.again(job)
    assert (job.shards_leased, job.shards_done, job.samples_done) == (0, 1, 10)
    assert [done.number for done in shards.done(rows.ledger, job.id)] == [0]


def test_work_finished_while_paused_counts_and_may_end_the_job(rows: Rows) -> None:
    job = rows.job(shard_count=1)
    claim = rows.held(job)
    assert jobs.move(rows.ledger, job.id, JobState.PAUSED)
    assert rows.commit(claim)
    assert rows.again(job).state is JobState.FINALIZING


def test_last_commit_of_many_at_once_moves_to_finalizing_exactly_once(
    ledger_url: str, rows: Rows
) -> None:
    job = rows.job(shard_count=6)
    claims = [rows.held(job, shard) for shard in range(6)]

    def finish(number: int) -> bool:
        ledger = connect(ledger_url)
        kept = shards.commit(ledger, claims[number], result(claims[number]))
        ledger.close()
        return kept

    assert all(at_once(6, finish))
    job = rows.again(job)
    assert (job.state, job.shards_done, job.samples_done) == (JobState.FINALIZING, 6, 60)
    kinds = [event.kind for event in events.of(rows.ledger, job.id)]
    assert kinds == ["job.planned", "job.running", "job.bound", "job.finalizing"]


def test_commits_and_cancel_at_once_agree(ledger_url: str, rows: Rows) -> None:
    job = rows.job(shard_count=5)
    claims = [rows.held(job, shard) for shard in range(4)]

    def act(number: int) -> bool:
        ledger = connect(ledger_url)
        if number < 4:
            kept = shards.commit(ledger, claims[number], result(claims[number]))
        else:
            kept = jobs.move(ledger, job.id, JobState.CANCELLED)
        ledger.close()
        return kept

    *kept, cancelled = at_once(5, act)
    assert cancelled
    job = rows.again(job)
    assert (job.state, job.shards_leased) == (JobState.CANCELLED, 0)
    assert job.shards_done == sum(kept) == rows.states(job).count("done")
    assert rows.states(job).count("cancelled") == 5 - sum(kept)


def test_release_is_free_and_can_be_claimed_at_once(rows: Rows) -> None:
    job = rows.job()
    shards.release(rows.ledger, rows.held(job))
    row = rows.shard(job)
    assert (row["state"], row["failures"], row["attempt"]) == ("pending", 0, 1)
    assert (row["lease_until"], row["hinted_at"], row["not_before"]) == (None, None, None)
    assert rows.again(job).shards_leased == 0
    hints = shards.hint(rows.ledger, job.id, 1, stale_after=60.0)
    assert hints == [RenderHint(job.id, 0, 1)]


def test_failed_shard_waits_out_its_backoff(rows: Rows) -> None:
    job = rows.job(shard_count=1)
    rows.worker("w1")
    state = shards.fail(rows.ledger, rows.held(job), "OSError", "torn", backoff=3600.0)
    assert state is ShardState.PENDING
    assert rows.shard(job)["error"] == "OSError: torn"
    assert shards.hint(rows.ledger, job.id, 1, stale_after=0.0) == []
    state = shards.fail(rows.ledger, rows.held(job, attempt=1), "OSError", "torn", backoff=0.0)
    assert state is ShardState.PENDING
    assert shards.hint(rows.ledger, job.id, 1, stale_after=0.0) == [RenderHint(job.id, 0, 2)]
    assert workers.list(rows.ledger)[0].failures == 2


def test_shard_that_keeps_failing_is_quarantined_and_fails_its_job(rows: Rows) -> None:
    job = rows.job()
    other = rows.held(job, 1)
    states = [
        shards.fail(rows.ledger, rows.held(job, attempt=attempt), "OSError", "torn", backoff=0.0)
        for attempt in range(6)
    ]
    assert states == [*[ShardState.PENDING] * 5, ShardState.QUARANTINED]
    assert rows.states(job) == ["quarantined", "leased", "cancelled"]
    job = rows.again(job)
    assert (job.state, job.error) == (
        JobState.FAILED,
        "shard 0 failed 6 times, at last: OSError: torn",
    )
    assert job.finished_at
    assert shards.renew(rows.ledger, other, 60.0, 0) is Orders.CANCEL


def test_expired_lease_returns_shard_to_queue(rows: Rows) -> None:
    job = rows.job()
    rows.held(job, 0, lease=-1.0)
    rows.held(job, 1, lease=60.0)
    assert shards.expire(rows.ledger) == [RenderHint(job.id, 0, 1)]
    assert shards.expire(rows.ledger) == []
    assert rows.states(job) == ["pending", "leased", "pending"]
    row = rows.shard(job)
    assert (row["failures"], row["error"]) == (1, "its lease ran out")
    assert rows.again(job).shards_leased == 1
    event = events.of(rows.ledger, job.id)[-1]
    assert (event.kind, event.shard, event.worker) == ("shard.expired", 0, "w1")
    assert event.fields["attempt"] == 1


def test_leases_run_by_the_clock_of_the_database(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = rows.job()
    monkeypatch.setattr(time, "time", lambda: 9e9)
    rows.held(job, 0, lease=60.0)
    assert shards.expire(rows.ledger) == []
    monkeypatch.setattr(time, "time", lambda: 0.0)
    rows.held(job, 1, lease=-1.0)
    assert len(shards.expire(rows.ledger)) == 1


def test_several_reconcilers_count_an_expired_lease_once(ledger_url: str, rows: Rows) -> None:
    job = rows.job()
    rows.held(job, lease=-1.0)

    def reconcile(_: int) -> int:
        ledger = connect(ledger_url)
        taken = shards.expire(ledger)
        ledger.close()
        return len(taken)

    assert sum(at_once(4, reconcile)) == 1
    assert rows.shard(job)["failures"] == 1


def test_expired_leases_of_a_cancelled_job_end_it_without_failures(rows: Rows) -> None:
    job = rows.job()
    rows.held(job, lease=-1.0)
    assert jobs.move(rows.ledger, job.id, JobState.CANCELLED)
    assert len(shards.expire(rows.ledger)) == 1
    row = rows.shard(job)
    assert (row["state"], row["failures"]) == ("cancelled", 0)


# SQLite has one writer at a time
@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_renewal_waits_for_nobody_who_holds_the_job(ledger: Ledger, rows: Rows) -> None:
    job = rows.job()
    claim = rows.held(job)
    with ledger.write() as connection:
        assert jobs.lock(connection, job.id)
        assert shards.renew(ledger, claim, 60.0, 0) is Orders.GO


_CLAIM_AND_HANG = """
import sys, time
from core import ledger as ledgers
from core.ledger import jobs
from core.ledger.states import JobState
ledger = ledgers.connect(sys.argv[1])
with ledger.write() as connection:
    jobs.lock(connection, sys.argv[2])
    jobs.move_within(connection, sys.argv[2], JobState.CANCELLED)
    print("in transaction", flush=True)
    time.sleep(600)
"""


def test_transaction_of_a_killed_process_is_undone_and_stalls_nobody(
    ledger_url: str, rows: Rows
) -> None:
    job = rows.job()
    program = [sys.executable, "-c", _CLAIM_AND_HANG, ledger_url, job.id]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"in transaction\n"
        process.kill()
    assert rows.commit(rows.held(job))
