"""`gc` where the store is a real S3."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core.dataset.layout import part_key, shard_key
from core.ledger import jobs
from core.ledger.states import JobState
from core.storage.s3 import S3Store
from orchestrator import retention
from orchestrator.service import Service
from tests.contracts.ledger_rows import Rows

if TYPE_CHECKING:
    from tests.conftest import Bucket


@pytest.fixture
def service(s3: "Bucket", tmp_path: Path) -> Iterator[Service]:
    with Service(replace(s3.settings, home=tmp_path, owner="ann")) as opened:
        opened.upgrade()
        yield opened


def test_orphans_go_and_what_rows_name_stays(service: Service) -> None:
    rows = Rows(service.ledger)
    rows.worker()
    job = rows.job()
    assert rows.commit(rows.held(job))
    row = rows.shard(job)
    assert jobs.move(service.ledger, job.id, JobState.FAILED)
    orphans = [shard_key(job.id, 1, "f" * 64), part_key(job.id, 1, "f" * 64)]
    for key in (row["key"], row["part_key"], *orphans):
        service.store.put(key, b"object")
    assert [each.what for each in retention.collect(service)] == orphans
    assert [each.what for each in retention.collect(service, remove=True)] == orphans
    assert {info.key for info in service.store.list("")} == {row["key"], row["part_key"]}


def test_unfinished_multipart_uploads_are_told_and_ended(s3: "Bucket") -> None:
    store = S3Store(s3.name, "mill", endpoint=s3.server.endpoint)
    client = s3.server.client
    for key in ("mill/a", "elsewhere/a"):
        upload = client.create_multipart_upload(Bucket=s3.name, Key=key)
        told: Any = {"Bucket": s3.name, "Key": key, "UploadId": upload["UploadId"]}
        client.upload_part(**told, PartNumber=1, Body=b"half")
    assert list(store.unfinished(0.0, remove=True)) == []
    later = 2.0**33
    assert [(info.key, info.size) for info in store.unfinished(later)] == [("a", 4)]
    assert len(list(store.unfinished(later, remove=True))) == 1
    left = client.list_multipart_uploads(Bucket=s3.name)["Uploads"]
    assert [upload["Key"] for upload in left] == ["elsewhere/a"]
