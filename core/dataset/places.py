"""Reading any sample of a dataset in a folder, from its shards where they lie."""

import os
from bisect import bisect_right
from io import BytesIO
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.dataset import tar
from core.dataset.manifest import Manifest
from core.dataset.record import Record
from core.dataset.shard import unpack
from core.dataset.source import FolderSource, read_manifest
from core.errors import CorruptError
from core.storage.files import disk_errors


class Places:
    """Where each sample lies: found for a shard when it is first needed, then kept.

    It holds no open file, so it may be copied to another process or be there when one forks; 16
    bytes for each sample of the shards that were read. Shards are not hashed: `verify` first.
    """

    def __init__(self, folder: Path) -> None:
        self.manifest: Manifest = read_manifest(FolderSource(folder))
        self._folder = folder
        self._starts = [0, *accumulate(shard.samples for shard in self.manifest.shards)]
        self._found: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return self._starts[-1]

    def read(self, place: int) -> tuple[Record, bytes]:
        """The record and the PNG file of a sample. Raises IndexError, CorruptError, StoreError."""
        if not 0 <= place < len(self):
            raise IndexError(f"sample {place} of {len(self):,}")
        number = bisect_right(self._starts, place) - 1
        path = self._folder / self.manifest.shards[number].name
        with disk_errors(str(path)):
            file = os.open(path, os.O_RDONLY)
            try:
                bounds = self._bounds(number, file)
                row = place - self._starts[number]
                data = os.pread(file, int(bounds[row + 1] - bounds[row]), int(bounds[row]))
            finally:
                os.close(file)
        return next(unpack(BytesIO(data + tar.end()), self.manifest.model.size))

    def _bounds(self, number: int, file: int) -> NDArray[np.int64]:
        """Where each sample of a shard begins, and where the last one ends."""
        if number not in self._found:
            with os.fdopen(os.dup(file), "rb") as shard:
                starts = np.fromiter(tar.starts(shard), dtype=np.int64)[::2]
            wanted = self.manifest.shards[number].samples + 1
            if len(starts) != wanted:
                raise CorruptError(
                    f"{self.manifest.shards[number].name} holds {len(starts) - 1:,} samples, "
                    f"not {wanted - 1:,}.",
                    remedy="Run `spritemill verify`.",
                )
            self._found[number] = starts
        return self._found[number]
