"""Copying a finished dataset from a store to a folder."""

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from core.dataset.layout import MANIFEST
from core.dataset.manifest import File, Manifest, ShardFile
from core.dataset.source import CHUNK, FolderSource, OnProgress, Source, read_manifest, stream
from core.errors import ConflictError, CorruptError
from core.storage.files import disk_errors, whole_file

_SCRATCH = ".partial"


def download(source: Source, folder: Path, on_progress: OnProgress | None = None) -> Manifest:
    """Copy a dataset, manifest last; what is there already with the right hash stays.

    Raises NotFoundError when the dataset is unfinished, ConflictError when the folder holds
    anything else, CorruptError when the store's bytes are not the manifest's.
    """
    manifest = read_manifest(source)
    copy(source, manifest.parts(), (MANIFEST, manifest.encode()), folder, on_progress)
    return manifest


def copy(
    source: Source,
    files: Sequence[File | ShardFile],
    last: tuple[str, bytes],
    folder: Path,
    on_progress: OnProgress | None = None,
) -> None:
    """Copy these files, then write the `last` one, by name and content, that lists them."""
    try:
        with disk_errors(str(folder)):
            _Copy(source, files, last, folder, on_progress).run()
    finally:
        shutil.rmtree(folder / _SCRATCH, ignore_errors=True)


class _Copy:
    def __init__(
        self,
        source: Source,
        files: Sequence[File | ShardFile],
        last: tuple[str, bytes],
        folder: Path,
        on_progress: OnProgress | None,
    ) -> None:
        self._source = source
        self._files = files
        self._last = last
        self._folder = folder
        self._on_progress = on_progress
        self._done = 0
        self._total = sum(file.size for file in files)

    def run(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._refuse_others()
        for file in self._files:
            path = self._folder / file.name
            if _holds(path, file.size, file.sha256):
                self._count(file.size)
            else:
                self._fetch(file.name, file.sha256)
        name, data = self._last
        with self._whole(name) as last:
            last.write(data)

    def _refuse_others(self) -> None:
        named = {self._last[0], *(file.name for file in self._files)}
        for name in FolderSource(self._folder).files():
            if name not in named:
                raise ConflictError(
                    f"folder = {self._folder}: it holds {name}, which is not of this dataset.",
                    remedy="Name a new folder.",
                )

    def _fetch(self, name: str, sha256: str) -> None:
        with stream(self._source, name, self._count) as reader, self._whole(name) as file:
            while chunk := reader.read(CHUNK):
                file.write(chunk)
            found = reader.drain()
            if found != sha256:
                raise CorruptError(
                    f"{name} in the store has the SHA-256 {found}, not the manifest's.",
                    remedy="The store's copy is damaged; submit the request again with --again.",
                )

    def _whole(self, name: str) -> AbstractContextManager[BinaryIO]:
        return whole_file(self._folder / name, self._folder / _SCRATCH)

    def _count(self, count: int) -> None:
        self._done += count
        if self._on_progress:
            self._on_progress(self._done, self._total)


def _holds(path: Path, size: int, sha256: str) -> bool:
    if not path.is_file() or path.stat().st_size != size:
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == sha256
