"""A dataset in a real object store."""

from pathlib import Path

import pytest

from core.dataset import assembly
from core.dataset.download import download
from core.dataset.layout import INDEX, MANIFEST, dataset_prefix, work_prefix
from core.dataset.source import FolderSource, StoreSource
from core.dataset.verify import verify
from core.errors import CorruptError
from core.storage import connect
from tests.conftest import Bucket
from tests.unit.dataset.bench import JOB, REQUEST, Bench, folder_store, job


@pytest.fixture
def dataset(s3: Bucket, tmp_path: Path) -> Bench:
    """A finished dataset in a bucket."""
    bench = job(connect(s3.settings), tmp_path, REQUEST)
    bench.render_all()
    assembly.clean(bench.store, bench.assemble())
    return bench


def test_dataset_is_the_same_in_a_bucket_and_in_a_folder(dataset: Bench, tmp_path: Path) -> None:
    local = job(folder_store(tmp_path / "store"), tmp_path / "store", REQUEST)
    local.render_all()
    local.assemble()
    prefix = dataset_prefix(JOB)
    assert dataset.store.get(prefix + MANIFEST) == local.store.get(prefix + MANIFEST)


def test_bucket_holds_the_dataset_and_nothing_else(dataset: Bench) -> None:
    assert verify(StoreSource(dataset.store, JOB)).ok
    assert list(dataset.store.list(work_prefix(JOB))) == []


def test_dataset_is_downloaded_from_a_bucket(dataset: Bench, tmp_path: Path) -> None:
    manifest = download(StoreSource(dataset.store, JOB), tmp_path / "out")
    report = verify(FolderSource(tmp_path / "out"))
    assert report.ok
    assert report.digest == manifest.dataset_digest


def test_damage_in_a_bucket_is_found(dataset: Bench, tmp_path: Path) -> None:
    key = dataset_prefix(JOB) + INDEX
    dataset.store.put(key, dataset.store.get(key)[:-1] + b"x")
    [problem] = verify(StoreSource(dataset.store, JOB)).problems
    assert (problem.kind, problem.where) == ("hash", INDEX)
    with pytest.raises(CorruptError, match=INDEX):
        download(StoreSource(dataset.store, JOB), tmp_path / "out")


def test_finished_dataset_in_a_bucket_is_not_made_again(dataset: Bench) -> None:
    before = {info.key: info for info in dataset.store.list(dataset_prefix(JOB))}
    dataset.assemble(created=1_790_000_000.0)
    assert {info.key: info for info in dataset.store.list(dataset_prefix(JOB))} == before
