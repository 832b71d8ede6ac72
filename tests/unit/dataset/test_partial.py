"""What is left of a job that ended early, copied and checked."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.dataset import partial
from core.dataset.layout import MANIFEST, PARTIAL
from core.dataset.manifest import ShardFile
from core.dataset.partial import Partial
from core.dataset.source import FolderSource, StoreSource
from core.dataset.verify import verify
from core.errors import ConflictError
from core.ledger import jobs, leases
from core.ledger.states import JobState
from core.settings import Settings
from orchestrator.service import Service
from tests.contracts.ledger_rows import Rows, result
from tests.unit.dataset.bench import JOB, Bench, folder_store, job


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    text = "contexts: [{class: potion, samples: 100}]\noutputs: {shard_samples: 32}\n"
    return job(folder_store(tmp_path / "store"), tmp_path / "store", text)


@pytest.fixture
def out(bench: Bench, tmp_path: Path) -> Path:
    """Two of four shards, fetched."""
    done = [bench.render(number) for number in (0, 2)]
    files = tuple(
        ShardFile(
            number=shard.number,
            name=shard.key.removeprefix(f"datasets/{JOB}/"),
            sha256=shard.sha256,
            size=shard.size,
            samples=shard.samples,
        )
        for shard in done
    )
    told = Partial(
        job=JOB,
        name="potions",
        state="cancelled",
        request_digest="a" * 64,
        weights="b" * 64,
        shard_count=4,
        total_samples=100,
        shards=files,
    )
    partial.download(StoreSource(bench.store, JOB), told, tmp_path / "out")
    return tmp_path / "out"


def kinds(folder: Path) -> list[str]:
    return [problem.kind for problem in verify(FolderSource(folder)).problems]


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("shards/*.tar"))


def test_whole_shards_are_no_whole_dataset(out: Path) -> None:
    report = verify(FolderSource(out))
    (problem,) = report.problems
    assert "its job is cancelled: 64 of 100" in str(problem)
    assert (report.samples, report.digest) == (64, "")
    assert report.bytes == sum(path.stat().st_size for path in shards(out))
    assert not (out / MANIFEST).exists()


def test_what_is_damaged_missing_or_added_is_told(out: Path) -> None:
    first, second = shards(out)
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    second.unlink()
    (out / "notes.txt").write_text("mine")
    assert kinds(out) == ["partial", "hash", "missing", "extra"]
    assert verify(FolderSource(out)).samples == 0


def test_list_that_cannot_be_read_is_told(out: Path) -> None:
    (out / PARTIAL).write_text("{}")
    assert "cannot be read" in str(verify(FolderSource(out)).problems[0])


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.FAILED])
def test_ended_jobs_finished_shards_are_downloaded(state: JobState, tmp_path: Path) -> None:
    with Service(Settings(home=tmp_path / "home", owner="ann")) as service:
        service.upgrade()
        rows = Rows(service.ledger)
        rows.worker()
        row = rows.job()
        claim = rows.held(row, 1)
        key = f"datasets/{row.id}/shards/000001-{'0' * 16}.tar"
        info = service.store.put(key, b"a shard")
        done = replace(result(claim), key=key, sha256=info.sha256 or "", size=info.size)
        assert leases.commit(service.ledger, claim, done)
        assert jobs.move(service.ledger, row.id, state)
        service.datasets.download(row.id, tmp_path / "out")
    assert kinds(tmp_path / "out") == ["partial"]
    assert [path.name for path in shards(tmp_path / "out")] == [f"000001-{'0' * 16}.tar"]


def test_job_that_finished_nothing_has_nothing_to_download(tmp_path: Path) -> None:
    with Service(Settings(home=tmp_path, owner="ann")) as service:
        service.upgrade()
        row = Rows(service.ledger).job()
        assert jobs.move(service.ledger, row.id, JobState.CANCELLED)
        with pytest.raises(ConflictError, match="no shard of it is finished"):
            service.datasets.download(row.id, tmp_path / "out")
    assert not (tmp_path / "out").exists()
