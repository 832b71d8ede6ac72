"""Where a dataset is read from: a folder, or a prefix of a store."""

import hashlib
from collections.abc import Callable
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from core.dataset import manifest
from core.dataset.layout import MANIFEST, dataset_prefix
from core.dataset.manifest import Manifest
from core.errors import CorruptError, NotFoundError
from core.storage import Store
from core.storage.files import disk_errors

OnProgress = Callable[[int, int], None]
"""Called with the bytes that are done and the bytes there are."""

CHUNK = 2**20
_MAX_MANIFEST = 2**28


class Source(Protocol):
    """A dataset's files by their names inside it."""

    def files(self) -> dict[str, int]:
        """Every file's name and size."""

    def open(self, name: str) -> BinaryIO:
        """A stream of a file. Raises NotFoundError, StoreError, UnreachableError."""


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


def read_manifest(source: Source) -> Manifest:
    """The manifest. Raises NotFoundError when the dataset is unfinished, CorruptError."""
    with source.open(MANIFEST) as opened:
        raw = opened.read(_MAX_MANIFEST + 1)
    if len(raw) > _MAX_MANIFEST:
        raise CorruptError(f"{MANIFEST} has more than {_MAX_MANIFEST:,} bytes.")
    read = manifest.decode(raw)
    if read.sealed().seal != read.seal:
        raise CorruptError(
            f"{MANIFEST} was changed after the dataset was finished.",
            remedy="Fetch the dataset from its store again.",
        )
    return read
