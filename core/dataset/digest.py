"""The digest of a dataset: its samples' identities and pixels in order, and nothing else."""

import hashlib


class Digest:
    """SHA-256 over one line a sample: `<context id>/<index> <sha256 of the pixels>`."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, context_id: str, index: int, sha256: str) -> None:
        self._hash.update(f"{context_id}/{index} {sha256}\n".encode())

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
