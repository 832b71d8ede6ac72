"""Where a dataset is read from: a folder, or a prefix of a store."""

import hashlib
import shutil
from collections.abc import Callable
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from core.dataset import manifest
from core.dataset.layout import MANIFEST, content_type, dataset_prefix
from core.dataset.manifest import Manifest
from core.errors import CorruptError, NotFoundError
from core.storage import Store
from core.storage.files import disk_errors, whole_file

OnProgress = Callable[[int, int], None]
"""Called with the bytes that are done and the bytes there are."""

CHUNK = 2**20
MAX_MANIFEST = 2**28
_SCRATCH = ".partial"


class Source(Protocol):
    """A dataset's files by their names inside it."""

    def files(self) -> dict[str, int]:
        """Every file's name and size."""

    def open(self, name: str) -> BinaryIO:
        """A stream of a file. Raises NotFoundError, StoreError, UnreachableError."""


class Dataset(Source, Protocol):
    """One whose files can be replaced."""

    def put_file(self, name: str, path: Path) -> None:
        """Write or replace a file, which is seen whole or not at all."""

    def delete(self, name: str) -> None:
        """Remove a file."""


class FolderSource:
    """A dataset in a folder."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NotFoundError(
                f"dataset = {folder}: there is no such folder.",
                remedy="Name the folder that holds the dataset's manifest.json.",
            )
        self._folder = folder

    def files(self) -> dict[str, int]:
        """Hidden files are the user's own: a version control's, a file manager's."""
        with disk_errors(str(self._folder)):
            return {
                name.as_posix(): path.stat().st_size
                for path in self._folder.rglob("*")
                if path.is_file()
                and not (name := path.relative_to(self._folder)).parts[0].startswith(".")
            }

    def open(self, name: str) -> BinaryIO:
        path = self._folder / name
        with disk_errors(str(path)):
            try:
                return path.open("rb")
            except FileNotFoundError:
                raise NotFoundError(f"There is no {name} in {self._folder}.") from None

    def put_file(self, name: str, path: Path) -> None:
        target, scratch = self._folder / name, self._folder / _SCRATCH
        try:
            with (
                disk_errors(str(target)),
                path.open("rb") as data,
                whole_file(target, scratch) as whole,
            ):
                shutil.copyfileobj(data, whole, CHUNK)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def delete(self, name: str) -> None:
        with disk_errors(str(self._folder / name)):
            (self._folder / name).unlink(missing_ok=True)


class StoreSource:
    """A job's dataset in a store."""

    def __init__(self, store: Store, job: str) -> None:
        self._store = store
        self._prefix = dataset_prefix(job)

    def files(self) -> dict[str, int]:
        listed = self._store.list(self._prefix)
        return {info.key.removeprefix(self._prefix): info.size for info in listed}

    def open(self, name: str) -> BinaryIO:
        return self._store.open(self._prefix + name)

    def put_file(self, name: str, path: Path) -> None:
        self._store.put_file(self._prefix + name, path, content_type=content_type(name))

    def delete(self, name: str) -> None:
        self._store.delete(self._prefix + name)


class HashingReader(BufferedReader):
    """Reads a stream through a buffer, hashing what passes."""

    def __init__(self, stream: BinaryIO, name: str, on_bytes: Callable[[int], None]) -> None:
        self._tap = _Tap(stream, name, on_bytes)
        super().__init__(self._tap, CHUNK)

    def drain(self) -> str:
        """Read to the end; the SHA-256 of all bytes."""
        while self.read(CHUNK):
            pass
        return self._tap.hash.hexdigest()


class _Tap(RawIOBase):
    def __init__(self, stream: BinaryIO, name: str, on_bytes: Callable[[int], None]) -> None:
        self._stream = stream
        self._name = name
        self._on_bytes = on_bytes
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        with disk_errors(self._name):
            data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self.hash.update(data)
        self._on_bytes(len(data))
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def stream(source: Source, name: str, on_bytes: Callable[[int], None]) -> HashingReader:
    return HashingReader(source.open(name), name, on_bytes)


def read_whole(source: Source, name: str, sha256: str) -> bytes:
    """A file that fits into memory, if it has this hash. Raises CorruptError."""
    with source.open(name) as opened, disk_errors(name):
        data = opened.read()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CorruptError(
            f"{name} is not the file that the manifest names.",
            remedy="`spritemill repair` mends it.",
        )
    return data


def read_manifest(source: Source) -> Manifest:
    """The manifest. Raises NotFoundError when the dataset is unfinished, CorruptError."""
    with source.open(MANIFEST) as opened:
        raw = opened.read(MAX_MANIFEST + 1)
    if len(raw) > MAX_MANIFEST:
        raise CorruptError(f"{MANIFEST} has more than {MAX_MANIFEST:,} bytes.")
    read = manifest.decode(raw)
    if not manifest.sound(raw):
        raise CorruptError(
            f"{MANIFEST} was changed after the dataset was finished.",
            remedy="Fetch the dataset from its store again.",
        )
    return read
