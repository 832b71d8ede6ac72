"""What `gc` takes, rule by rule, and what it never takes."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checked
from hypothesis import strategies as st
from sqlalchemy import event, update

from core.dataset.layout import MANIFEST, dataset_prefix, part_key, shard_key, shard_name
from core.dataset.manifest import Manifest, Quarantined, ShardFile
from core.errors import ConflictError
from core.ledger import jobs, schema, shards
from core.ledger.jobs import Job
from core.ledger.states import JobState
from core.settings import Settings
from orchestrator import retention
from orchestrator.service import Service
from tests.contracts.ledger_rows import Rows
from tests.unit.dataset.bench import SPEC

DAY = 86400.0
UNKNOWN = "zzzzzzzzzzzz"


class Yard:
    """A mill without workers, whose rows and objects the tests put in place."""

    def __init__(self, home: Path, **changed: float) -> None:
        self.service = Service(replace(Settings(home=home, owner="ann"), **changed))  # type: ignore[arg-type]
        self.service.upgrade()
        self.root = home / "store"
        self.rows = Rows(self.service.ledger)
        self.rows.worker()

    def put(self, *keys: str, age: float = 0.0) -> list[str]:
        for key in keys:
            self.service.store.put(key, b"object")
            then = time.time() - age
            os.utime(self.root / key, (then, then))
        return list(keys)

    def keys(self) -> set[str]:
        return {info.key for info in self.service.store.list("")}

    def found(
        self, older_than: float | None = None, *, remove: bool = False
    ) -> list[tuple[str, str]]:
        garbage = retention.collect(self.service, older_than, remove=remove)
        return [(each.rule, each.what) for each in garbage]

    def ended(self, to: JobState, done: int = 1) -> Job:
        """A job of three shards that is over; the objects of its first shards are there."""
        job = self.rows.job()
        for number in range(done):
            claim = self.rows.held(job, number)
            assert self.rows.commit(claim)
            row = self.rows.shard(job, number)
            self.put(row["key"])
            if to != JobState.SUCCEEDED:  # its finishing removes the parts
                self.put(row["part_key"])
        self.move(job, to)
        return self.rows.again(job)

    def move(self, job: Job, to: JobState, **facts: str) -> None:
        if to == JobState.SUCCEEDED:
            jobs.move(self.service.ledger, job.id, JobState.RUNNING)
            jobs.move(self.service.ledger, job.id, JobState.FINALIZING)
        assert jobs.move(self.service.ledger, job.id, to, **facts)

    def manifest(self, job: str, numbers: set[int], *, failed: bool = False) -> set[str]:
        """Finish a dataset of these shards, but for a sample; the keys that its manifest names."""
        lost = (Quarantined(number=99, key="0000000099", reason="no luck"),) if failed else ()
        shards = tuple(
            ShardFile(number=n, name=shard_name(n, "a" * 64), sha256="a" * 64, size=6, samples=1)
            for n in sorted(numbers)
        )
        manifest = Manifest(
            job=job,
            name="heroes",
            created="",
            version="1",
            renderer_version=1,
            request_digest="a" * 64,
            weights="a" * 64,
            model=SPEC,
            numerics={},
            samples=len(numbers),
            contexts=1,
            dataset_digest="d" * 64,
            files=(),
            shards=shards,
            quarantined=lost,
        ).sealed()
        key = dataset_prefix(job) + MANIFEST
        self.service.store.put(key, manifest.encode())
        return {key, *(dataset_prefix(job) + shard.name for shard in shards)}


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path / "home")
    yield made
    made.service.close()


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Yard]:
    """Cancelled jobs may go at once."""
    made = Yard(tmp_path / "home", keep_cancelled_days=0.0)
    yield made
    made.service.close()


def orphans(job: str) -> list[str]:
    return [shard_key(job, 1, "f" * 64), part_key(job, 1, "f" * 64)]


def test_listing_removes_nothing(yard: Yard) -> None:
    job = yard.ended(JobState.FAILED)
    stale = yard.put(*orphans(job.id))
    there = yard.keys()
    assert yard.found() == [("orphan", key) for key in stale]
    assert yard.keys() == there


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_orphans_of_a_job_that_is_over_go_and_what_its_rows_name_stays(
    yard: Yard, state: JobState
) -> None:
    job = yard.ended(state)
    named = yard.keys()
    stale = yard.put(*orphans(job.id))
    assert yard.found(remove=True) == [("orphan", key) for key in stale]
    assert yard.keys() == named
    assert yard.found() == []


def test_job_that_its_workers_have_yet_to_leave_is_not_removed_in_part(yard: Yard) -> None:
    job = yard.rows.job()
    claim = yard.rows.held(job)
    yard.move(job, JobState.CANCELLED)
    there = set(yard.put(shard_key(job.id, 0, "a" * 64)))
    with pytest.raises(ConflictError, match="have yet to leave"):
        yard.service.remove(job.id)
    assert yard.keys() == there
    shards.release(yard.service.ledger, claim)
    yard.service.remove(job.id)
    assert not yard.keys()


def test_job_that_is_not_over_keeps_everything(strict: Yard) -> None:
    job = strict.rows.job()
    there = set(strict.put(*orphans(job.id), age=100 * DAY))
    assert strict.found(0.0, remove=True) == []
    assert strict.keys() == there


def test_job_whose_worker_has_yet_to_leave_keeps_everything(strict: Yard) -> None:
    job = strict.rows.job()
    strict.rows.held(job)
    strict.move(job, JobState.CANCELLED)
    there = set(strict.put(*orphans(job.id)))
    assert strict.found(0.0, remove=True) == []
    assert strict.keys() == there


def test_succeeded_job_without_its_manifest_keeps_everything(yard: Yard) -> None:
    job = yard.ended(JobState.SUCCEEDED)
    there = yard.keys() | set(yard.put(*orphans(job.id)))
    assert yard.found(remove=True) == []
    assert yard.keys() == there


def test_damaged_manifest_keeps_everything(yard: Yard) -> None:
    job = yard.ended(JobState.SUCCEEDED)
    yard.put(dataset_prefix(job.id) + MANIFEST, *orphans(job.id))
    there = yard.keys()
    assert yard.found(remove=True) == []
    assert yard.keys() == there


def test_unknown_jobs_objects_go_only_when_they_were_long_left_alone(yard: Yard) -> None:
    old, new = orphans(UNKNOWN)
    yard.put(old, age=8 * DAY)
    yard.put(new, age=6 * DAY)
    assert yard.found() == []
    yard.put(new, age=8 * DAY)
    assert yard.found(remove=True) == [("orphan", old), ("orphan", new)]
    assert yard.keys() == set()


def test_dataset_that_is_being_copied_in_is_left_alone_whatever_the_settings(
    tmp_path: Path,
) -> None:
    yard = Yard(tmp_path / "home", keep_cancelled_days=0.0)
    old, new = orphans(UNKNOWN)
    yard.put(old, age=2 * DAY)
    yard.put(new, age=DAY / 2)
    assert yard.found(remove=True) == []
    yard.put(new, age=2 * DAY)
    assert yard.found() == [("orphan", old), ("orphan", new)]
    yard.service.close()


def test_what_is_no_jobs_is_left_alone(yard: Yard) -> None:
    there = set(yard.put("datasets/mine/notes.txt", "models/x.safetensors", age=100 * DAY))
    assert yard.found(0.0, remove=True) == []
    assert yard.keys() == there


def test_cancelled_job_stays_until_its_time(yard: Yard) -> None:
    yard.ended(JobState.CANCELLED)
    assert yard.found(0.0) == []


def test_cancelled_job_goes_with_its_objects_after_its_time(strict: Yard) -> None:
    job = strict.ended(JobState.CANCELLED)
    assert strict.found(remove=True) == [("cancelled", job.id)]
    assert strict.keys() == set()
    assert strict.service.list() == []


def test_what_was_taken_up_again_or_removed_after_the_listing_is_passed_over(yard: Yard) -> None:
    ids = {yard.ended(JobState.SUCCEEDED).id for _ in range(3)}
    garbage = retention.collect(yard.service, 0.0, remove=True)
    gone = next(garbage).what
    reopened, removed = ids - {gone}
    with yard.service.ledger.write() as connection:  # as `retry` does where sprites were lost
        connection.execute(update(schema.jobs).values(state="running").filter_by(id=reopened))
    yard.service.remove(removed)
    assert [each.what for each in garbage if each.rule == "expired"] == []
    assert [job.id for job in yard.service.list()] == [reopened]


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED])
def test_dataset_expires_only_when_told_so(yard: Yard, state: JobState) -> None:
    job = yard.ended(state)
    yard.manifest(job.id, {0})
    there = yard.keys()
    assert yard.found(3600.0) == []
    assert (yard.found(), yard.keys()) == ([], there)
    assert yard.found(0.0, remove=True) == [("expired", job.id)]
    assert yard.keys() == set()


def test_dataset_expires_as_the_settings_say(tmp_path: Path) -> None:
    yard = Yard(tmp_path / "home", keep_dataset_days=1e-9)
    job = yard.ended(JobState.SUCCEEDED)
    assert yard.found() == [("expired", job.id)]
    yard.service.close()


def test_dataset_that_a_live_job_extends_does_not_expire(yard: Yard) -> None:
    parent = yard.rows.job()
    yard.move(parent, JobState.SUCCEEDED, dataset_digest="d" * 64)
    child = yard.rows.job(request='{"parent": {"digest": "' + "d" * 64 + '"}}')
    assert yard.found(0.0, remove=True) == []
    with pytest.raises(ConflictError, match="extends its dataset"):
        yard.service.remove(parent.id)
    yard.move(child, JobState.CANCELLED)
    assert ("expired", parent.id) in yard.found(0.0)


@pytest.mark.parametrize("live", [1, 30])
def test_statements_do_not_grow_with_the_live_jobs(yard: Yard, live: int) -> None:
    parent = yard.rows.job()
    yard.move(parent, JobState.SUCCEEDED, dataset_digest="d" * 64)
    for _ in range(live):
        yard.rows.job()
    run: list[str] = []
    engine = yard.service.ledger.engine
    event.listen(engine, "before_cursor_execute", lambda *told: run.append(told[2]))
    assert yard.found(0.0, remove=True) == [("expired", parent.id)]
    assert len(run) <= 16


def test_half_written_files_go_after_a_day(yard: Yard) -> None:
    yard.put("datasets/mine/notes.txt")
    old, new = (yard.root / ".part" / name for name in (".old.0123", ".new.0123"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert yard.found() == [("temporary", ".part/.old.0123")]
    assert yard.found(remove=True) == [("temporary", ".part/.old.0123")]
    assert (old.exists(), new.exists()) == (False, True)


@checked(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    named=st.sets(st.integers(0, 5)),
    there=st.sets(st.integers(0, 5)),
    late=st.sets(st.integers(0, 5)),
    state=st.sampled_from([*JobState, None]),
    age=st.sampled_from([0.0, 100 * DAY]),
)
def test_what_a_manifest_names_is_never_an_orphan(
    yard: Yard, named: set[int], there: set[int], late: set[int], state: JobState | None, age: float
) -> None:
    job = jobs.new_id()
    if state is not None:
        job = yard.rows.job().id
        _reach(yard, job, state)
    manifest = yard.manifest(job, named)
    yard.put(*(shard_key(job, number, "a" * 64) for number in there), age=age)
    yard.put(*(shard_key(job, number, "f" * 64) for number in late), age=age)
    before = yard.keys()
    yard.found(remove=True)
    after = yard.keys()
    assert after & manifest == before & manifest
    if state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
        assert {key for key in after if key.startswith(dataset_prefix(job))} <= manifest


def _reach(yard: Yard, job: str, state: JobState) -> None:
    way = {
        JobState.PLANNED: [],
        JobState.FINALIZING: [JobState.RUNNING],
        JobState.SUCCEEDED: [JobState.RUNNING, JobState.FINALIZING],
    }.get(state, [])
    for step in [*way, state] if state != JobState.PLANNED else []:
        assert jobs.move(yard.service.ledger, job, step)
