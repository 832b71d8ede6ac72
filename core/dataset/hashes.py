"""The SHA-256 of every file of a dataset, read once, several files at a time."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from core.dataset.source import OnProgress, Source, stream

_MOST = 16
THREADS = min(_MOST, 2 * (os.cpu_count() or 1))
"""Hashing lets go of the interpreter, and a store answers several requests at once."""


def sha256_of(source: Source, on_progress: OnProgress | None = None) -> dict[str, str]:
    """Name and SHA-256 of all files that are there."""
    files = source.files()
    total, done, lock = sum(files.values()), 0, threading.Lock()

    def count(read: int) -> None:
        nonlocal done
        with lock:
            done += read
            if on_progress:
                on_progress(done, total)

    def one(name: str) -> tuple[str, str]:
        with stream(source, name, count) as reader:
            return name, reader.drain()

    with ThreadPoolExecutor(THREADS, thread_name_prefix="hash") as pool:
        return dict(pool.map(one, files))
