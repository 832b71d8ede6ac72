"""Reading the sprites of a dataset, one at a time."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from core.dataset import png
from core.dataset.manifest import Manifest, ShardFile
from core.dataset.record import Record
from core.dataset.shard import unpack
from core.dataset.source import Source, stream
from core.errors import CorruptError


def sprites(source: Source, manifest: Manifest) -> Iterator[tuple[Record, NDArray[np.uint8]]]:
    """Each sample's record with its pixels [S, S, 4], in order. Raises CorruptError."""
    for record, picture in pictures(source, manifest):
        yield record, png.decode(picture, manifest.model.size)


def pictures(source: Source, manifest: Manifest) -> Iterator[tuple[Record, bytes]]:
    """Each sample's record with its PNG file, in order. Raises CorruptError.

    A shard's hash is checked at its end.
    """
    for shard in manifest.shards:
        yield from shard_pictures(source, shard, manifest.model.size)


def shard_pictures(source: Source, shard: ShardFile, size: int) -> Iterator[tuple[Record, bytes]]:
    """The same for one shard of sprites size x size."""
    with stream(source, shard.name, lambda _count: None) as reader:
        yield from unpack(reader, size)
        if reader.drain() != shard.sha256:
            raise CorruptError(
                f"{shard.name} is not the file that the manifest names.",
                remedy="Run `spritemill verify`, then fetch the dataset again.",
            )
