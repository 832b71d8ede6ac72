"""The bucket of a store that begins empty, on a real S3."""

from dataclasses import replace

from core import storage
from deploy import bucket
from tests.conftest import Bucket


def test_missing_bucket_is_made_and_one_that_is_there_is_kept(s3: Bucket) -> None:
    settings = replace(s3.settings, store_url=f"s3://{s3.name}-new/mill")
    assert bucket.make(settings) == f"{s3.name}-new"
    store = storage.connect(settings)
    store.put("a", b"x")
    assert bucket.make(settings) == f"{s3.name}-new"
    assert store.get("a") == b"x"
