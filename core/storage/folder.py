"""A store in a folder of this machine: each object is a file, its key the path."""

import io
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from core.errors import NotFoundError, StoreError
from core.storage.files import disk_errors, whole_file
from core.storage.keys import check_key, check_prefix, is_key
from core.storage.store import ObjectInfo

_SCRATCH = ".part"  # no key begins with a dot
_CHUNK = 1 << 20
_ABANDONED_SECONDS = 24 * 3600
_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FolderStore:
    """Objects are written beside the tree, synced and renamed, so that none is seen in part."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._scratch = self._root / _SCRATCH

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",  # noqa: ARG002  # a file has no place for it
    ) -> ObjectInfo:
        return self._write(key, io.BytesIO(data))

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str = "application/octet-stream",  # noqa: ARG002  # as above
    ) -> ObjectInfo:
        with disk_errors(str(path)), path.open("rb") as source:
            return self._write(key, source)

    def get(self, key: str) -> bytes:
        with self.open(key) as file:
            return file.read()

    def get_file(self, key: str, path: Path) -> None:
        with self.open(key) as source, disk_errors(str(path)), whole_file(path) as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)

    def open(self, key: str) -> BinaryIO:
        path = self._path(key)
        with disk_errors(str(path)):
            try:
                return path.open("rb")
            except _NO_FILE as error:
                raise NotFoundError(f"There is no object {key} in {self._root}.") from error

    def head(self, key: str) -> ObjectInfo | None:
        """Without the hash: that would mean to read the file."""
        path = self._path(key)
        with disk_errors(str(path)):
            try:
                found = path.stat()
            except _NO_FILE:
                return None
        return _info(key, found) if stat.S_ISREG(found.st_mode) else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder = check_prefix(prefix).rpartition("/")[0]
        return self._walk(folder, prefix)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with disk_errors(str(path)):
            with suppress(*_NO_FILE):
                path.unlink()
            self._prune(path.parent)

    def unfinished(self, before: float, *, remove: bool = False) -> Iterator[ObjectInfo]:
        with disk_errors(str(self._scratch)):
            parts = sorted(self._scratch.iterdir()) if self._scratch.is_dir() else []
            for part in parts:
                with suppress(FileNotFoundError):  # its writer is done
                    found = part.stat()
                    if found.st_mtime < before:
                        if remove:
                            part.unlink()
                        yield _info(f"{_SCRATCH}/{part.name}", found)

    def url(self, key: str, seconds: int = 3600) -> str:  # noqa: ARG002  # a file never expires
        return self._path(key).as_uri()

    def check(self) -> None:
        """Also removes what processes that were killed have left half-written a day ago. Folders
        that were not there before are not there afterwards.
        """
        key, data = f"check-{secrets.token_hex(8)}", secrets.token_bytes(64)
        folders = (self._scratch, self._root, *self._root.parents)
        made = [folder for folder in folders if not folder.exists()]
        try:
            self.put(key, data)
            if self.get(key) != data:
                raise StoreError(f"{self._root}: what was written reads back differently.")
        finally:
            self.delete(key)
            for folder in made:
                with suppress(OSError):  # somebody stores there already
                    folder.rmdir()
        for _ in self.unfinished(time.time() - _ABANDONED_SECONDS, remove=True):
            pass

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _write(self, key: str, source: BinaryIO) -> ObjectInfo:
        path = self._path(key)
        digest = sha256()
        with disk_errors(str(path)), whole_file(path, self._scratch) as file:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            found = os.fstat(file.fileno())
        return _info(key, found, digest.hexdigest())

    def _walk(self, folder: str, prefix: str) -> Iterator[ObjectInfo]:
        """Sorted as whole keys sort: `a-b` before `a/b`, so a folder's name ends with its slash."""
        place = self._root / folder
        with disk_errors(str(place)):
            try:
                entries = {
                    entry.name + "/" * entry.is_dir(): entry
                    for entry in os.scandir(place)
                    if not entry.name.startswith(".")
                }
            except _NO_FILE:
                return
        for name in sorted(entries):
            key = f"{folder}/{name}" if folder else name
            if name.endswith("/") and (key.startswith(prefix) or prefix.startswith(key)):
                yield from self._walk(key.removesuffix("/"), prefix)
            elif key.startswith(prefix) and is_key(key) and (found := self.head(key)):
                yield found

    def _prune(self, folder: Path) -> None:
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:  # not empty, or gone already
                return
            folder = folder.parent


def _info(key: str, found: os.stat_result, digest: str | None = None) -> ObjectInfo:
    return ObjectInfo(key, found.st_size, digest, found.st_mtime)
