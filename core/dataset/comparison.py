"""Stored sprites beside the same ones rendered again."""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.dataset import index, png
from core.dataset.layout import REQUEST
from core.dataset.manifest import Manifest, ShardFile, numbers
from core.dataset.record import Record
from core.dataset.rendering import Rendering, differences
from core.dataset.shard import unpack
from core.dataset.source import Source, read_manifest, read_whole

_AT_ONCE = 256
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pair:
    """A sprite as it is stored and as it is rendered here. `largest` is of 255."""

    record: Record
    shard: int
    stored: Image
    here: Image

    @property
    def largest(self) -> int:
        return int(np.abs(self.stored.astype(np.int16) - self.here).max())


@dataclass(slots=True)
class Comparison:
    """How many sprites were rendered again and came out equal; `differs` has then and here."""

    samples: int = 0
    equal: int = 0
    largest: int = 0
    differs: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    unequal: list[str] = field(default_factory=list)

    def add(self, pair: Pair) -> None:
        self.samples += 1
        self.largest = max(self.largest, pair.largest)
        if pair.largest:
            self.unequal.append(pair.record.key)
        else:
            self.equal += 1


def compare(
    source: Source, manifest: Manifest, wanted: Collection[int], rendering: Rendering
) -> Comparison:
    """Render samples of these numbers again. Raises CorruptError for a damaged shard."""
    found = Comparison()
    for pair in pairs(source, manifest, wanted, rendering):
        found.add(pair)
        here = differences(manifest.numerics_of(pair.shard), rendering.numerics)
        found.differs = {**found.differs, **here}
    return found


def pairs(
    source: Source, manifest: Manifest, wanted: Collection[int], rendering: Rendering
) -> Iterator[Pair]:
    """Each wanted sample, stored and rendered again, in order."""
    for shard, records in stored(source, manifest, wanted):
        for start in range(0, len(records), _AT_ONCE):
            some = records[start : start + _AT_ONCE]
            drawn = rendering.sprites([(record.number, record.seed) for record, _ in some])
            for (record, picture), here in zip(some, drawn, strict=True):
                yield Pair(record, shard.number, png.decode(picture, len(here)), here)


def stored(
    source: Source, manifest: Manifest, wanted: Collection[int]
) -> Iterator[tuple[ShardFile, list[tuple[Record, bytes]]]]:
    """The wanted samples, each with its PNG file, by shard; no other shard is read."""
    for shard, run in zip(manifest.shards, numbers(manifest), strict=True):
        if not any(number in wanted for number in run):
            continue
        held = unpack(BytesIO(read_whole(source, shard.name, shard.sha256)), manifest.model.size)
        yield shard, [pair for pair in held if pair[0].number in wanted]


def by_key(source: Source, keys: Sequence[str]) -> Iterator[tuple[Record, Image]]:
    """The samples of these keys with their pixels, in the order of the dataset."""
    manifest = read_manifest(source)
    wanted = {row["number"] for row in index.found(source, "key", keys)}
    for _, held in stored(source, manifest, wanted):
        for record, picture in held:
            yield record, png.decode(picture, manifest.model.size)


def some(manifest: Manifest, count: int, seed: int) -> set[int]:
    """The numbers of `count` samples, or of all there are, chosen at random by `seed`."""
    left_out = {sample.number for sample in manifest.quarantined}
    total = manifest.samples + len(left_out)
    drawn = random.Random(seed).sample(  # noqa: S311  # nobody must fail to guess it
        range(total), min(total, count + len(left_out))
    )
    return set([number for number in drawn if number not in left_out][:count])


def request_of(source: Source) -> str:
    """The text of a dataset's request. Raises NotFoundError."""
    with source.open(REQUEST) as opened:
        return opened.read().decode()
