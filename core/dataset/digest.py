"""The digest of a dataset: its samples' identities and pixels in order, and nothing else."""

import hashlib


class Digest:
    """SHA-256 over one line a sample: `<context id>/<index> <sha256 of the pixels>`."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, context_id: str, index: int, sha256: str) -> None:
        self._hash.update(line(context_id, index, sha256).encode())

    def add(self, lines: bytes) -> None:
        """Add whole lines."""
        self._hash.update(lines)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def line(context_id: str, index: int, sha256: str) -> str:
    """A sample's line."""
    return f"{context_id}/{index} {sha256}\n"
