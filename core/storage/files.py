"""Files that appear whole or not at all, and what the disk's errors mean."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.errors import SpritemillError, StoreError, UnreachableError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_ATTEMPTS = 50


@contextmanager
def whole_file(
    path: Path, scratch: Path | None = None, *, replaces: bool = True
) -> Iterator[BinaryIO]:
    """A file to write, which becomes `path` when the block ends well and vanishes when it does not.

    Until then it lies in `scratch`, a folder of the same file system; by default beside `path`.
    Raises FileExistsError where `path` is there, unless it `replaces` that.
    """
    folder = path.parent if scratch is None else scratch
    part = folder / f".{path.name}.{secrets.token_hex(8)}"
    try:
        with _opened(part) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _move(part, path, replaces)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turns an OSError about `what` into a StoreError or an UnreachableError."""
    try:
        yield
    except OSError as error:
        raise _translate(what, error) from error


def _opened(part: Path) -> BinaryIO:
    try:
        return part.open("xb")
    except FileNotFoundError:  # the first file there
        part.parent.mkdir(parents=True, exist_ok=True)
        return part.open("xb")


def _move(part: Path, path: Path, replaces: bool) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            if replaces:
                part.replace(path)
            else:
                path.hardlink_to(part)
                part.unlink()
        except FileNotFoundError:  # the first file there; and a delete removes folders when empty
            if attempt == _ATTEMPTS - 1:
                raise
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            break
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _translate(what: str, error: OSError) -> SpritemillError:
    if error.errno in _FULL:
        return StoreError(f"disk full: {what} could not be written.", remedy="Make room for it.")
    if error.errno in _REFUSED:
        return UnreachableError(
            f"{what} may not be used: {error.strerror}.",
            remedy="Give this user the right to read and write there.",
        )
    return StoreError(f"{what}: {error.strerror or error}.")
