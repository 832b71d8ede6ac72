"""The disk under a folder."""

import shutil
from pathlib import Path


def free_bytes(folder: Path) -> int:
    """What is free on the disk that holds, or would hold, a folder."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
