"""Which store the settings name, and what naming it costs."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import RequestError
from core.settings import Settings
from core.storage import connect
from core.storage.folder import FolderStore

IMPORTS_OF_A_FOLDER = """
import pathlib, sys
from core.settings import Settings
from core.storage import connect
connect(Settings(home=pathlib.Path("/nowhere")))
print(*sys.modules)
"""


def test_no_url_is_a_folder_in_home(tmp_path: Path) -> None:
    store = connect(Settings(home=tmp_path))
    store.put("a", b"x")
    assert isinstance(store, FolderStore)
    assert (tmp_path / "store" / "a").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("url", "endpoint", "field"),
    [
        ("s3://", "", "store_url"),
        ("s3:///prefix", "", "store_url"),
        ("s3://bucket/../prefix", "", "store_url"),
        ("s3://bucket", "localhost:9000", "s3_endpoint"),
        ("s3://bucket", "ftp://host", "s3_endpoint"),
        ("s3://bucket", "http://", "s3_endpoint"),
        ("s3://bucket", "http://[x", "s3_endpoint"),
        ("s3://bucket", "http://my_minio:9000", "s3_endpoint"),
        ("s3://bucket", "http://minio:port", "s3_endpoint"),
        ("s3://bucket", "http://minio:99999", "s3_endpoint"),
        ("s3://[bucket", "", "store_url"),
        ("s3://key:hunter2@bucket", "", "store_url"),
    ],
)
def test_impossible_store_is_refused_by_its_field(url: str, endpoint: str, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        connect(Settings(store_url=url, s3_endpoint=endpoint))
    assert [fault.field for fault in caught.value.faults] == [field]
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["http://[::1]:9000", "https://s3.example.org/path"])
def test_address_of_a_server_is_taken(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    connect(Settings(store_url="s3://bucket/prefix/", s3_endpoint=endpoint)).url("a")


def test_folder_does_not_pay_for_boto3() -> None:
    run = [sys.executable, "-c", IMPORTS_OF_A_FOLDER]
    modules = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    assert "core.storage.folder" in modules
    assert not {"boto3", "botocore", "sqlalchemy"} & set(modules)
