"""From shards that are done to a dataset, whatever happens in between."""

import hashlib
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import update

from core import weights
from core.dataset import layout
from core.dataset.source import FolderSource, StoreSource
from core.dataset.verify import verify
from core.errors import ConflictError, NotFoundError, StoreError
from core.ledger import Ledger, connect, jobs, schema, shards, workers
from core.ledger.shards import Result
from core.ledger.states import JobState
from core.ledger.upgrade import upgrade
from core.ledger.workers import NewWorker
from core.messages import RenderHint
from core.request.plan import Plan
from core.settings import Settings
from core.storage import ObjectInfo, Store
from core.storage.folder import FolderStore
from orchestrator import admission, models
from orchestrator.finalizer import Finalizer
from orchestrator.service import Service
from tests.integration.yard import SHARD, request, settings
from workers.fake_renderer import FakeRenderer
from workers.render import render_shard

SHARDS = 3
FACTS = {"renderer": "fake"}


class Unwatched:
    """Nobody listens to these shards' progress."""

    def step(self) -> None: ...

    def rendered(self, samples: int) -> None: ...

    def finishing(self) -> None: ...


class FailingStore:
    """A store whose n-th change fails, as if the process had ended there."""

    def __init__(self, store: Store, fails_at: int) -> None:
        self._store = store
        self._fails_at = fails_at
        self.changes = 0

    def _change(self) -> None:
        self.changes += 1
        if self.changes == self._fails_at:
            raise StoreError("the store went away")

    def put(self, key: str, data: bytes, *, content_type: str = "") -> ObjectInfo:
        self._change()
        return self._store.put(key, data, content_type=content_type)

    def put_file(self, key: str, path: Path, *, content_type: str = "") -> ObjectInfo:
        self._change()
        return self._store.put_file(key, path, content_type=content_type)

    def delete(self, key: str) -> None:
        self._change()
        self._store.delete(key)

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def get_file(self, key: str, path: Path) -> None:
        self._store.get_file(key, path)

    def open(self, key: str) -> BinaryIO:
        return self._store.open(key)

    def head(self, key: str) -> ObjectInfo | None:
        return self._store.head(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._store.list(prefix)

    def unfinished(self, before: float, *, remove: bool = False) -> Iterator[ObjectInfo]:
        return self._store.unfinished(before, remove=remove)

    def url(self, key: str, seconds: int = 3600) -> str:
        return self._store.url(key, seconds)

    def check(self) -> None:
        self._store.check()


class Job:
    """A job in the ledger whose shards are rendered, uploaded and committed."""

    def __init__(self, at: Settings) -> None:
        upgrade(at.ledger_url)
        self.ledger: Ledger = connect(at.ledger_url)
        self.store = FolderStore(Path(at.store))
        made, model = admission.planned(request(SHARDS), at, lambda: None)
        self.id = jobs.add(self.ledger, admission.admitted(made, model, at))[0].id
        worker = NewWorker("w1", "here", 1, 0.0, "none", "fake", FACTS, 1)
        workers.register(self.ledger, worker)
        shards.plan_rows(self.ledger, self.id, 0, [SHARD] * SHARDS)
        for number in range(SHARDS):
            self._render(made, number)

    @property
    def row(self) -> jobs.Job:
        return jobs.get(self.ledger, self.id)

    def _render(self, made: Plan, number: int) -> None:
        claim = shards.claim(self.ledger, RenderHint(self.id, number, 0), "w1", "fake", 60.0)
        assert claim
        renderer = FakeRenderer(made.spec.size, 1e6)
        packed = render_shard(made, made.shard(number), renderer, Unwatched())
        tar, part = (hashlib.sha256(data).hexdigest() for data in (packed.tar, packed.part))
        key = layout.shard_key(self.id, number, tar)
        part_key = layout.part_key(self.id, number, part)
        self.store.put(key, packed.tar)
        self.store.put(part_key, packed.part)
        result = Result(key, tar, len(packed.tar), part_key, part, SHARD, packed.digest, 1.0)
        assert shards.commit(self.ledger, claim, result)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    made = Job(settings(tmp_path))
    yield made
    made.ledger.close()


def check_finished(job: Job) -> None:
    assert job.row.state == JobState.SUCCEEDED
    report = verify(StoreSource(job.store, job.id))
    assert report.problems == ()
    assert report.digest == job.row.dataset_digest
    assert not list(job.store.list(layout.work_prefix(job.id)))


def test_finished_job_has_a_dataset_that_verifies(job: Job) -> None:
    assert job.row.state == JobState.FINALIZING
    Finalizer(job.ledger, job.store).step()
    check_finished(job)


def test_uploads_of_fenced_off_workers_are_removed(job: Job) -> None:
    orphan = layout.shard_key(job.id, 0, "f" * 64)
    job.store.put(orphan, b"late")
    Finalizer(job.ledger, job.store).step()
    assert job.store.head(orphan) is None
    check_finished(job)


@pytest.mark.parametrize("fails_at", range(1, 8))
def test_finalizing_goes_on_after_an_end_at_any_change(job: Job, fails_at: int) -> None:
    with pytest.raises(StoreError, match="went away"):
        Finalizer(job.ledger, FailingStore(job.store, fails_at)).step()
    assert job.row.state == JobState.FINALIZING
    Finalizer(job.ledger, job.store).step()
    check_finished(job)


def test_finalizing_twice_changes_nothing(job: Job) -> None:
    finalizer = Finalizer(job.ledger, job.store)
    finalizer.step()
    before = job.row
    finalizer.step()
    assert job.row == before


def test_whoever_finishes_and_whenever_the_bytes_are_the_same(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written() -> dict[str, bytes]:
        """What a finalizer writes that ends when it would remove what is left over."""
        with pytest.raises(StoreError):
            Finalizer(job.ledger, FailingStore(job.store, 6)).step()
        there = job.store.list(layout.dataset_prefix(job.id))
        return {info.key: job.store.get(info.key) for info in there}

    before = written()
    job.store.delete(layout.dataset_prefix(job.id) + layout.MANIFEST)
    later = time.time() + 3600.0
    monkeypatch.setattr(time, "time", lambda: later)
    assert written() == before


def test_job_is_finished_by_a_version_that_bundles_other_weights(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):  # an orchestrator does so whenever it starts
        models.publish(job.store, job.ledger)
    assert len(models.listed(job.ledger)) == 1
    data = bytearray(weights.bundled().read_bytes())
    data[-1] ^= 1
    other = tmp_path / "other.safetensors"
    other.write_bytes(data)
    monkeypatch.setattr(weights, "bundled", lambda: other)
    assert [model.bundled for model in models.listed(job.ledger)] == [True, False]
    Finalizer(job.ledger, job.store).step()
    check_finished(job)


def test_damaged_part_of_the_index_fails_the_job_and_says_which(job: Job) -> None:
    part = next(iter(job.store.list(layout.work_prefix(job.id)))).key
    job.store.put(part, job.store.get(part)[:-9] + b"damaged!!")
    Finalizer(job.ledger, job.store).step()
    assert job.row.state == JobState.FAILED
    assert "000000" in (job.row.error or "")
    assert job.store.head(layout.dataset_prefix(job.id) + layout.MANIFEST) is None


def test_who_slept_past_its_leadership_does_not_fail_a_job_that_another_has_tidied(
    job: Job,
) -> None:
    """Parts that are gone are no fault of the job when somebody else is about to end it."""
    for part in list(job.store.list(layout.work_prefix(job.id))):
        job.store.delete(part.key)
    with pytest.raises(NotFoundError):
        Finalizer(job.ledger, job.store, leads=lambda: False).step()
    assert job.row.state == JobState.FINALIZING


@pytest.mark.parametrize("confirmed", range(9))
def test_who_leads_no_longer_changes_nothing(job: Job, confirmed: int) -> None:
    """Another may have finished the job, and somebody opened it anew, while this one slept."""
    asked = itertools.count()
    store = FailingStore(job.store, 100)
    with pytest.raises(ConflictError, match="may lead now"):
        Finalizer(job.ledger, store, leads=lambda: next(asked) < confirmed).step()
    assert store.changes == confirmed
    assert job.row.state == JobState.FINALIZING
    Finalizer(job.ledger, job.store).step()
    check_finished(job)


def test_job_that_cannot_be_finished_now_does_not_hold_up_others(
    tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Job(settings(tmp_path, owner="ben"))
    finalizer = Finalizer(job.ledger, FailingStore(job.store, 1))
    with pytest.raises(StoreError):
        finalizer.step()
    finalizer.step()
    assert sorted([job.row.state, other.row.state]) == [JobState.FINALIZING, JobState.SUCCEEDED]
    finalizer.step()
    assert {job.row.state, other.row.state} == {JobState.SUCCEEDED}
    other.ledger.close()


@pytest.mark.parametrize("state", ["paused", "cancelled", "failed"])
def test_what_a_job_finished_is_there_though_it_has_no_dataset(
    job: Job, tmp_path: Path, state: str
) -> None:
    with job.ledger.write() as connection:
        connection.execute(update(schema.jobs).values(state=state))
    out = tmp_path / "out"
    with Service(settings(tmp_path)) as service:
        service.datasets.download(job.id, out)
    told = verify(FolderSource(out))
    assert [problem.kind for problem in told.problems] == ["partial"]
    assert json.loads((out / layout.PARTIAL).read_text())["state"] == state
    assert len(list((out / "shards").iterdir())) == SHARDS
