"""Exporting from a bucket and to a bucket."""

from pathlib import Path

import pytest

from core import storage
from core.dataset import assembly
from core.dataset.export.options import Options, shares
from core.dataset.export.work import export
from core.dataset.source import StoreSource
from core.settings import Settings
from core.storage import Store
from tests.conftest import Bucket
from tests.unit.dataset.bench import JOB, REQUEST, Bench, folder_store, job

SPLIT = Options(splits=shares("train=0.5,test=0.5"))


@pytest.fixture
def dataset(s3: Bucket, tmp_path: Path) -> Bench:
    """A finished dataset in a bucket."""
    bench = job(storage.connect(s3.settings), tmp_path, REQUEST)
    bench.render_all()
    assembly.clean(bench.store, bench.assemble())
    return bench


def beside(s3: Bucket, name: str) -> Store:
    settings = s3.settings
    url = f"s3://{s3.name}/exports/{name}"
    return storage.connect(Settings(store_url=url, s3_endpoint=settings.s3_endpoint))


@pytest.mark.parametrize(
    "name", ["webdataset", "parquet", "imagefolder", "numpy", "aseprite", "croissant"]
)
def test_export_to_a_bucket_is_the_same_as_to_a_folder(
    dataset: Bench, s3: Bucket, tmp_path: Path, name: str
) -> None:
    source, bucket, folder = StoreSource(dataset.store, JOB), beside(s3, name), tmp_path / "out"
    assert export(source, bucket, "bucket", name, SPLIT).written == 2
    export(source, folder_store(folder), "folder", name, SPLIT)
    local = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert {info.key: bucket.get(info.key) for info in bucket.list("")} == local
    assert export(source, bucket, "bucket", name, SPLIT).written == 0
