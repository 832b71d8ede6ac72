"""What every store promises, asked of memory, a folder and a real S3."""

import random
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.errors import NotFoundError, StoreError, UsageError
from core.storage import Store
from core.storage.folder import FolderStore
from core.storage.memory import MemoryStore
from core.storage.s3 import S3Store

if TYPE_CHECKING:
    from tests.conftest import Bucket

MEBIBYTE = 1 << 20
SIZES = [0, 1, 20 * MEBIBYTE]
BAD_KEYS = [
    "",
    "/absolute",
    "..",
    "a/../b",
    "a/./b",
    "a//b",
    "a/",
    ".hidden",
    "a/.hidden",
    "new\nline",
    "nul\0",
    "back\\slash",
    "space bar",
    "star*",
    "schlüssel",
    "x" * 201,
    "/".join(["x" * 100] * 6),
]
BAD_PREFIXES = ["/", "../", "a//", "a/../", ".part/", "ü", "x" * 600]


@pytest.fixture(params=["memory", "folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """S3 with small pages and parts, so that few objects need many of them."""
    if request.param == "memory":
        return MemoryStore()
    if request.param == "folder":
        return FolderStore(tmp_path / "store")
    bucket: Bucket = request.getfixturevalue("s3")
    endpoint = bucket.server.endpoint
    return S3Store(bucket.name, "mill", endpoint=endpoint, large=5 * MEBIBYTE, page=7)


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def keys(store: Store, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


@pytest.mark.parametrize("size", SIZES)
def test_object_comes_back_as_it_was_put(store: Store, size: int) -> None:
    data = content(size)
    put = store.put("a/b.tar", data)
    assert (put.key, put.size, put.sha256) == ("a/b.tar", size, sha256(data).hexdigest())
    assert store.get("a/b.tar") == data
    with store.open("a/b.tar") as stream:
        assert stream.read(7) == data[:7]
        assert stream.read() == data[7:]


@pytest.mark.parametrize("size", SIZES)
def test_file_comes_back_as_it_was_put(store: Store, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "new" / "folder" / "target"
    source.write_bytes(content(size))
    put = store.put_file("a/b.tar", source)
    assert (put.size, put.sha256) == (size, sha256(content(size)).hexdigest())
    store.get_file("a/b.tar", target)
    assert target.read_bytes() == content(size)
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_file_that_is_not_there_cannot_be_put(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no-such-file"):
        store.put_file("a", tmp_path / "no-such-file")
    assert store.head("a") is None


def test_put_replaces_what_was_there(store: Store, tmp_path: Path) -> None:
    store.put("a", b"long before")
    store.put("a", b"after")
    assert store.get("a") == b"after"
    (tmp_path / "target").write_bytes(b"in the way")
    store.get_file("a", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"after"


def test_head_tells_size_and_never_a_wrong_hash(store: Store) -> None:
    put = store.put("a/b", b"12345")
    head = store.head("a/b")
    assert head is not None
    assert (head.key, head.size) == ("a/b", 5)
    assert head.sha256 in (None, put.sha256)
    assert head.modified == pytest.approx(put.modified, abs=2)


def test_missing_object_is_told_apart(store: Store, tmp_path: Path) -> None:
    store.put("there/below", b"x")
    for key in ("missing", "there", "there/below/it"):
        assert store.head(key) is None
        for read in (store.get, store.open):
            with pytest.raises(NotFoundError, match=key):
                read(key)
        with pytest.raises(NotFoundError, match=key):
            store.get_file(key, tmp_path / "target")
    assert list(tmp_path.glob("*target*")) == []


def test_deleting_twice_is_fine(store: Store) -> None:
    store.put("a/b/c", b"x")
    store.put("a/d", b"y")
    store.delete("a/b/c")
    store.delete("a/b/c")
    assert keys(store) == ["a/d"]


def test_list_is_sorted_by_the_whole_key_over_many_pages(store: Store) -> None:
    names = [f"d/{number:02d}" for number in range(16)] + ["d-1", "d.1", "d/1/x", "d0", "D", "e"]
    for name in random.Random(1).sample(names, len(names)):
        store.put(name, name.encode())
    listed = list(store.list(""))
    assert [info.key for info in listed] == sorted(names)
    assert [info.size for info in listed] == [len(name) for name in sorted(names)]


def test_prefix_is_the_beginning_of_the_key(store: Store) -> None:
    for name in ("a/1", "a/12", "a/b/1", "ab/1"):
        store.put(name, b"x")
    assert keys(store, "a/") == ["a/1", "a/12", "a/b/1"]
    assert keys(store, "a/1") == ["a/1", "a/12"]
    assert keys(store, "a") == ["a/1", "a/12", "a/b/1", "ab/1"]
    assert keys(store, "a/b/1") == ["a/b/1"]
    for nothing in ("a/b/1/", "none/", "b"):
        assert keys(store, nothing) == []


def test_bad_key_is_refused_everywhere(store: Store, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    uses: list[Callable[[str], object]] = [
        lambda key: store.put(key, b"x"),
        lambda key: store.put_file(key, tmp_path / "source"),
        store.get,
        lambda key: store.get_file(key, tmp_path / "target"),
        store.open,
        store.head,
        store.delete,
        store.url,
    ]
    for key, use in product(BAD_KEYS, uses):
        with pytest.raises(UsageError, match="A key is at most"):
            use(key)
    assert keys(store) == []


def test_bad_prefix_is_refused(store: Store) -> None:
    for prefix in BAD_PREFIXES:
        with pytest.raises(UsageError, match="prefix"):
            store.list(prefix)


def test_longest_key_is_taken(store: Store) -> None:
    key = "/".join(["x" * 200, "y" * 200, "z" * 110])
    assert len(key) == 512
    store.put(key, b"x")
    assert keys(store, "x" * 200 + "/") == [key]


def test_url_can_be_read_by_anyone(store: Store) -> None:
    store.put("a/b.png", b"picture")
    with urllib.request.urlopen(store.url("a/b.png")) as answer:
        assert answer.read() == b"picture"


def test_same_bytes_may_be_put_by_many_at_once(store: Store) -> None:
    data = content(MEBIBYTE)
    with ThreadPoolExecutor(8) as threads:
        puts = list(threads.map(lambda _: store.put("shard", data), range(16)))
    assert {put.sha256 for put in puts} == {sha256(data).hexdigest()}
    assert store.get("shard") == data


def test_reader_never_sees_a_mixture_of_two_writes(store: Store) -> None:
    versions = [bytes([number]) * MEBIBYTE for number in range(4)]
    store.put("shard", versions[0])

    def write(data: bytes) -> bool:
        try:
            store.put("shard", data)
        except StoreError:  # on S3, when another write came between it and its check
            assert isinstance(store, S3Store)
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        reads = [threads.submit(store.get, "shard") for _ in range(8)]
        assert any(threads.map(write, versions * 2))
        reads += [threads.submit(store.get, "shard") for _ in range(8)]
    assert all(read.result() in versions for read in reads)


def test_check_leaves_nothing_behind(store: Store) -> None:
    store.check()
    assert keys(store) == []
