"""What only S3 can suffer: refusals, outages, corrupted bodies, forks. Against a real server."""

import multiprocessing
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore import auth

from core.errors import StoreError, UnreachableError
from core.storage import Store, connect
from core.storage.s3 import S3Store
from deploy.servers.process import free_port

if TYPE_CHECKING:
    from tests.conftest import Bucket

SECRET = "not-the-right-secret-0123456789"
PART = 5 << 20


def uses(store: Store, tmp_path: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every way to use a store, as (name, call)."""
    file = tmp_path / "source"
    file.write_bytes(b"x")
    yield "put", lambda: store.put("a", b"x")
    yield "put_file", lambda: store.put_file("a", file)
    yield "get", lambda: store.get("a")
    yield "get_file", lambda: store.get_file("a", tmp_path / "target")
    yield "open", lambda: store.open("a")
    yield "head", lambda: store.head("a")
    yield "list", lambda: list(store.list(""))
    yield "delete", lambda: store.delete("a")
    yield "check", store.check


def refused(store: Store, tmp_path: Path, but: tuple[str, ...] = ()) -> list[str]:
    """The messages with which every use of an unusable store ends."""
    messages = []
    for name, use in uses(store, tmp_path):
        if name not in but:
            with pytest.raises(UnreachableError) as caught:
                use()
            messages.append(str(caught.value))
    assert not (tmp_path / "target").exists()
    return messages


@contextmanager
def corrupting(port: int) -> Iterator[int]:
    """A relay to a loopback port that changes every `sprite` into `spr1te` on its way there."""

    def relay(source: socket.socket, target: socket.socket) -> None:
        with source, target:
            while data := source.recv(65536):
                target.sendall(data.replace(b"sprite", b"spr1te"))

    def serve() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", port))
            for pair in ((client, server), (server.dup(), client.dup())):
                threading.Thread(target=relay, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        serving.join()


def test_wrong_secret_is_refused_and_never_told(
    s3: "Bucket", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    for message in refused(connect(s3.settings), tmp_path):
        assert "refused our credentials" in message
        assert "AWS_SECRET_ACCESS_KEY" in message
        assert SECRET not in message


def test_unknown_access_key_is_refused(
    s3: "Bucket", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NOBODY")
    assert all("refused our cred" in said for said in refused(connect(s3.settings), tmp_path))


@pytest.mark.parametrize("hours", [1, -1])
def test_clock_that_the_store_does_not_believe_is_named(
    s3: "Bucket", monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    moment = auth.get_current_datetime  # type: ignore[attr-defined]  # not in the stubs
    off = timedelta(hours=hours)
    monkeypatch.setattr(auth, "get_current_datetime", lambda: moment() + off)
    with pytest.raises(UnreachableError, match="clock"):
        connect(s3.settings).put("a", b"x")


def test_no_credentials_at_all_are_asked_for(
    s3: "Bucket", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert all("AWS_PROFILE" in said for said in refused(connect(s3.settings), tmp_path))


def test_missing_bucket_is_named(s3: "Bucket", tmp_path: Path) -> None:
    store = S3Store("no-such-bucket", endpoint=s3.server.endpoint)
    # S3 answers a HEAD without a body: a missing bucket looks like a missing object.
    for message in refused(store, tmp_path, but=("head",)):
        assert "s3://no-such-bucket" in message
        assert "no such bucket" in message


def test_port_without_a_server_is_named(s3: "Bucket", tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UnreachableError, match=f"s3_endpoint = {endpoint}.*does not answer"):
        S3Store(s3.name, endpoint=endpoint).check()


def test_host_without_a_name_is_told(s3: "Bucket") -> None:
    with pytest.raises(UnreachableError, match=r"store\.invalid.*does not answer"):
        S3Store(s3.name, endpoint="http://store.invalid").check()


def test_store_works_again_after_an_outage(s3: "Bucket") -> None:
    store = connect(s3.settings)
    store.put("a", b"before")
    s3.server.gateway.stop()
    try:
        with pytest.raises(UnreachableError, match="does not answer"):
            store.get("a")
    finally:
        s3.server.start_gateway()
    assert store.get("a") == b"before"


def test_body_that_changes_on_its_way_is_refused(s3: "Bucket", tmp_path: Path) -> None:
    port = int(s3.server.endpoint.rpartition(":")[2])
    (tmp_path / "large").write_bytes(b"sprite" * PART)
    with corrupting(port) as relay:
        store = S3Store(s3.name, endpoint=f"http://127.0.0.1:{relay}", large=PART)
        store.put("intact", b"picture")
        with pytest.raises(StoreError, match="SHA256"):
            store.put("small", b"sprite")
        with pytest.raises(StoreError, match="SHA256"):
            store.put_file("large", tmp_path / "large")
        assert [info.key for info in store.list("")] == ["intact"]


def test_small_and_large_objects_arrive_over_tls(
    s3: "Bucket", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(s3.server.certificate))
    (tmp_path / "source").write_bytes(bytes(2 * PART + 1))
    store = S3Store(s3.name, endpoint=s3.server.tls_endpoint, large=PART)
    store.put("small", b"x")
    store.put_file("large", tmp_path / "source")
    store.get_file("large", tmp_path / "target")
    assert store.get("small") == b"x"
    assert (tmp_path / "target").read_bytes() == bytes(2 * PART + 1)


def test_unknown_certificate_is_refused(s3: "Bucket") -> None:
    store = S3Store(s3.name, endpoint=s3.server.tls_endpoint)
    with pytest.raises(UnreachableError, match="AWS_CA_BUNDLE"):
        store.put("a", b"x")


def test_large_file_travels_in_parts(s3: "Bucket", tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(2 * PART + 1))
    store = S3Store(s3.name, endpoint=s3.server.endpoint, large=PART)
    store.put_file("parts", tmp_path / "file")
    store.put("whole", bytes(2 * PART + 1))
    tags = {it["Key"]: it["ETag"] for it in s3.objects()}
    assert tags["parts"].endswith('-3"')
    assert "-" not in tags["whole"]


def test_keys_lie_under_the_prefix_and_see_nothing_beside_it(s3: "Bucket") -> None:
    endpoint = s3.server.endpoint
    inner, beside = (S3Store(s3.name, name, endpoint=endpoint) for name in ("mill", "mill2"))
    inner.put("a", b"x")
    beside.put("b", b"y")
    assert [it["Key"] for it in s3.objects()] == ["mill/a", "mill2/b"]
    assert [info.key for info in inner.list("")] == ["a"]


def test_object_whose_name_is_no_key_is_passed_over(s3: "Bucket") -> None:
    store = connect(s3.settings)
    store.put("datasets/1/README.md", b"x")
    for name in ("datasets/1/", "datasets/1/preview copy.png", "datasets/1//x"):
        s3.server.client.put_object(Bucket=s3.name, Key=f"mill/{name}")
    assert [info.key for info in store.list("datasets/1/")] == ["datasets/1/README.md"]


def test_presigned_url_expires(s3: "Bucket") -> None:
    store = connect(s3.settings)
    store.put("a", b"x")
    url = store.url("a", seconds=5)
    assert status(url) == 200
    deadline = time.monotonic() + 20
    while status(url) == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status(url) == 403


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_store_carried_across_a_fork_keeps_answers_apart(s3: "Bucket") -> None:
    store = connect(s3.settings)
    for name in ("parent", "child"):
        store.put(name, name.encode() * 10_000)
    child = multiprocessing.get_context("fork").Process(target=read_often, args=(store, "child"))
    child.start()
    read_often(store, "parent")
    child.join(60)
    assert child.exitcode == 0


def read_often(store: Store, name: str) -> None:
    for _ in range(50):
        assert store.get(name) == name.encode() * 10_000
