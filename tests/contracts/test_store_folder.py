"""What only a folder can suffer: full disks, killed writers, missing rights."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import StoreError, UnreachableError
from core.storage.folder import FolderStore

WRITE_FOR_EVER = """
import pathlib, sys
from core.storage.folder import FolderStore
endless = open("/dev/zero", "rb")
FolderStore(pathlib.Path(sys.argv[1]))._write("big", endless)
"""
PUT_WITH_LIMIT = """
import pathlib, resource, sys
from core.errors import StoreError
from core.storage.folder import FolderStore
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store = FolderStore(pathlib.Path(sys.argv[1]))
store.put("small", b"x" * 1000)
try:
    store.put("large", b"x" * 1_000_000)
except StoreError as error:
    print(error)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte of its own, where we may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_full_disk_is_told_and_leaves_no_part(small_disk: Path) -> None:
    store = FolderStore(small_disk / "store")
    store.put("before", b"x" * 1000)
    with pytest.raises(StoreError, match=r"disk full: .*large") as caught:
        store.put("large", b"x" * (2 << 20))
    assert caught.value.retryable
    store.put("after", b"x" * 1000)
    assert files(small_disk / "store") == ["after", "before"]


def test_size_limit_is_told_as_a_full_disk(tmp_path: Path) -> None:
    limited = [sys.executable, "-c", PUT_WITH_LIMIT, str(tmp_path)]
    said = subprocess.run(limited, capture_output=True, text=True, check=True).stdout
    assert "disk full" in said
    assert files(tmp_path) == ["small"]


def test_full_disk_of_the_reader_leaves_no_part(small_disk: Path, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    store.put("large", b"x" * (2 << 20))
    with pytest.raises(StoreError, match="disk full"):
        store.get_file("large", small_disk / "copy")
    assert files(small_disk) == []


def test_what_a_killed_writer_began_is_unseen_and_removed_in_the_end(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)])
    deadline = time.monotonic() + 30
    while not any(tmp_path.rglob("*big*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    writer.kill()
    writer.wait()
    store = FolderStore(tmp_path)
    assert list(store.list("")) == []
    assert store.head("big") is None
    (part,) = (tmp_path / ".part").iterdir()
    store.check()
    assert part.exists()  # a living writer may still be at it
    os.utime(part, (time.time() - 100_000,) * 2)
    store.check()
    assert not part.exists()


def test_key_below_another_object_is_refused(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a", b"x")
    with pytest.raises(StoreError, match="a/b"):
        store.put("a/b", b"y")
    assert store.get("a") == b"x"


def test_deleting_the_last_object_removes_its_folders(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("datasets/1/shards/0", b"x")
    store.put("datasets/2", b"y")
    store.delete("datasets/1/shards/0")
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == ["2"]


def test_file_whose_name_is_no_key_is_passed_over(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("datasets/1/README.md", b"x")
    (tmp_path / "my notes").mkdir()
    for name in ("README.md", "datasets/1/README.md~", "datasets/1/preview copy.png", "my notes/1"):
        (tmp_path / name).touch()
    assert [info.key for info in store.list("")] == ["README.md", "datasets/1/README.md"]
    assert [info.key for info in store.list("datasets/1/")] == ["datasets/1/README.md"]


def test_write_outlives_the_removal_of_its_empty_folder(tmp_path: Path) -> None:
    store, writing = FolderStore(tmp_path), True

    def delete_for_ever() -> None:
        while writing:
            store.delete("a/b/none")

    deleting = threading.Thread(target=delete_for_ever)
    deleting.start()
    try:
        for turn in range(100):
            store.put("a/b/c", bytes([turn]))
            assert store.get("a/b/c") == bytes([turn])
            store.delete("a/b/c")
    finally:
        writing = False
        deleting.join()


def test_folder_that_cannot_be_made_is_unreachable(tmp_path: Path) -> None:
    store = FolderStore(Path("/proc/store") if os.geteuid() == 0 else Path("/store"))
    with pytest.raises((UnreachableError, StoreError), match="store"):
        store.check()


def test_files_take_the_users_usual_rights(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    store.put("a", b"x")
    (tmp_path / "plain").touch()
    assert (tmp_path / "store" / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode
