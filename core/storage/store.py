"""The contract that every store keeps."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object: `sha256` in hex where the store knows it, `modified` in epoch seconds."""

    key: str
    size: int
    sha256: str | None
    modified: float


class Store(Protocol):
    """Objects by key (see `core.storage.keys`). Whole or absent: nobody sees half an object.

    Every method raises UnreachableError when the store does not answer or refuses our credentials,
    StoreError when it cannot do what was asked (a full disk), and UsageError for a bad key.
    """

    def put(
        self, key: str, data: bytes, *, content_type: str = "application/octet-stream"
    ) -> ObjectInfo:
        """Write or replace an object; its size and hash are checked at the store."""
        ...

    def put_file(
        self, key: str, path: Path, *, content_type: str = "application/octet-stream"
    ) -> ObjectInfo:
        """As `put`, for files larger than memory."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object. Raises NotFoundError."""
        ...

    def get_file(self, key: str, path: Path) -> None:
        """Copy the object to a file, which appears when it is whole. Raises NotFoundError."""
        ...

    def open(self, key: str) -> BinaryIO:
        """Read the object as a stream, front to back. Raises NotFoundError."""
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object without reading it; None when there is none."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose key begins with these characters, sorted by key. Hashes may be left out.

        What others put there under a name that is no key is passed over.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the object. Gone already is fine."""
        ...

    def unfinished(self, before: float, *, remove: bool = False) -> Iterator[ObjectInfo]:
        """What is half-written since before this moment, by writers that must be dead by now.

        With `remove`, each is gone when it is told. A `key` may be unlike any object's.
        """
        ...

    def url(self, key: str, seconds: int = 3600) -> str:
        """An address from which the object can be read, where that can expire: for `seconds`."""
        ...

    def check(self) -> None:
        """Prove that objects can be written, read and deleted. Raises as they would."""
        ...
