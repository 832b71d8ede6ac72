"""The disk under a folder."""

import shutil
from pathlib import Path

from core.errors import UsageError
from core.settings import Settings

_FULL_BYTES = 1 << 20
"""Less than a shard and a page of the ledger may need."""


def free_bytes(folder: Path) -> int:
    """What is free on the disk that holds, or would hold, a folder. Raises UsageError."""
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: it is no folder.", remedy="Name one, with --home, store_url or --out."
        )
    usage = shutil.disk_usage(folder)
    if not usage.total:
        raise UsageError(
            f"{folder}: nothing can be stored there.",
            remedy="Name a folder on a disk, with --home, store_url or --out.",
        )
    return usage.free


def full(settings: Settings) -> Path | None:
    """The folder of the ledger or the store whose disk is full, if any is on this machine."""
    folders = [settings.home]
    if not settings.store.startswith("s3://"):
        folders.append(Path(settings.store))
    return next((folder for folder in folders if free_bytes(folder) < _FULL_BYTES), None)
