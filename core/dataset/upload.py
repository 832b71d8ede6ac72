"""Copying a finished dataset into a store."""

import hashlib
import tempfile
from pathlib import Path

from core.dataset.layout import MANIFEST
from core.dataset.manifest import Manifest
from core.dataset.source import CHUNK, OnProgress, Source, StoreSource, read_manifest
from core.errors import ConflictError, CorruptError, NotFoundError
from core.storage import Store
from core.storage.files import disk_errors

_SCRATCH = "the folder for temporary files"


def upload(source: Source, store: Store, on_progress: OnProgress | None = None) -> Manifest:
    """Copy a dataset to its job's place in a store, manifest last, unless it is there already.

    Raises NotFoundError when the dataset is unfinished, ConflictError when the store has another
    one in its place, CorruptError when its bytes are not the manifest's.
    """
    manifest = read_manifest(source)
    target = StoreSource(store, manifest.job)
    try:
        there = read_manifest(target)
    except NotFoundError:
        _copy(source, target, manifest, on_progress)
        return manifest
    if there.dataset_digest != manifest.dataset_digest:
        raise ConflictError(
            f"job {manifest.job} has another dataset in the store: {there.dataset_digest}.",
            remedy="Extend that one, or name another store.",
        )
    return there


def _copy(
    source: Source, target: StoreSource, manifest: Manifest, on_progress: OnProgress | None
) -> None:
    done, total = 0, sum(manifest.sizes().values())
    with disk_errors(_SCRATCH), tempfile.TemporaryDirectory(prefix="spritemill-") as folder:
        path = Path(folder) / "file"
        for file in manifest.parts():
            if _fetched(source, file.name, path) != file.sha256:
                raise CorruptError(
                    f"{file.name} is not the file that the manifest names.",
                    remedy="`spritemill repair` mends it.",
                )
            target.put_file(file.name, path)
            done += file.size
            if on_progress:
                on_progress(done, total)
        path.write_bytes(manifest.encode())
        target.put_file(MANIFEST, path)


def _fetched(source: Source, name: str, path: Path) -> str:
    sha256 = hashlib.sha256()
    with source.open(name) as opened, path.open("wb") as copy:
        while chunk := opened.read(CHUNK):
            sha256.update(chunk)
            copy.write(chunk)
    return sha256.hexdigest()
