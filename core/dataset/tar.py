"""Tar files of a fixed form: plain files, no owner, no time, so that equal content is equal bytes.

Reading takes exactly the headers that writing makes: links, devices, paths and extensions of a
hostile tar are refused before anything is done with them.
Source: POSIX.1-2017, pax, "ustar Interchange Format".
"""

from collections.abc import Iterator
from typing import BinaryIO

from core.errors import CorruptError

_BLOCK = 512
_END = bytes(2 * _BLOCK)
_OCTAL = frozenset(b"01234567")
_OWNER = b"0000644\0" + b"0000000\0" * 2  # mode, user, group
_TIME = b"\0" + b"00000000000\0"  # behind the size
_TAIL = (
    b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(155 + 12)
)  # type, link, magic, names, device, prefix


def member(name: str, data: bytes) -> bytes:
    """A file's header and padded content. The name has at most 100 ASCII characters."""
    return _header(name.encode("ascii"), len(data)) + data + bytes(-len(data) % _BLOCK)


def end() -> bytes:
    return _END


def members(stream: BinaryIO, largest: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, none above `largest` bytes. Raises CorruptError."""
    while (header := _take(stream, _BLOCK)) != bytes(_BLOCK):
        name, size = _parse(header)
        if size > largest:
            raise CorruptError(f"{name!r} in the tar file has {size:,} bytes, above {largest:,}")
        data = _take(stream, size + -size % _BLOCK)
        yield name, data[:size]
    if _take(stream, _BLOCK) != bytes(_BLOCK) or stream.read(1):
        raise CorruptError("the tar file goes on behind its end")


def starts(stream: BinaryIO) -> Iterator[int]:
    """Where each file's header is, then where the end is, by headers alone. Raises CorruptError."""
    place = stream.seek(0)
    while (header := _take(stream, _BLOCK)) != bytes(_BLOCK):
        yield place
        size = _parse(header)[1]
        place = stream.seek(place + _BLOCK + size + -size % _BLOCK)
    yield place


def salvage(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of a damaged tar whose headers are whole, wherever they stand."""
    for start in range(0, len(raw) - _BLOCK + 1, _BLOCK):
        try:
            name, size = _parse(raw[start : start + _BLOCK])
        except CorruptError:
            continue
        yield name, raw[start + _BLOCK : start + _BLOCK + size]


def _parse(header: bytes) -> tuple[str, int]:
    name = header[:100].rstrip(b"\0")
    digits = header[124:135]
    if not set(digits) <= _OCTAL:  # which int() would take a sign among
        raise CorruptError("a tar header has no size")
    size = int(digits, 8)
    if header != _header(name, size) or not name.isascii():
        raise CorruptError(f"the tar header of {name[:80]!r} is not as the format demands")
    return name.decode("ascii"), size


def _header(name: bytes, size: int) -> bytes:
    digits = b"%011o" % size
    total = sum(name) + sum(digits) + _FIXED_SUM  # summing all 512 bytes would cost most of a read
    return name.ljust(100, b"\0") + _OWNER + digits + _TIME + b"%06o\0 " % total + _TAIL


def _take(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise CorruptError("the tar file ends early")
    return data


_FIXED_SUM = sum(_OWNER) + sum(_TIME) + 8 * ord(" ") + sum(_TAIL)
