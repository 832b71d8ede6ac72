"""A shard: the samples that one task renders, as a WebDataset tar file and a part of the index."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.dataset import parts, png, tar
from core.dataset.digest import Digest
from core.dataset.record import Record, decode, pixels_sha256
from core.errors import CorruptError
from core.request.plan import Sample

MAX_RECORD_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Packed:
    """A shard's two files. `digest` is that of a dataset of these samples alone."""

    tar: bytes
    part: bytes
    samples: int
    digest: str


class Packer:
    """Packs a shard as its sprites come.

    Equal sprites give equal bytes with equal versions of zlib and pyarrow, however they come.
    """

    def __init__(self) -> None:
        self._digest = Digest()
        self._files: list[bytes] = []
        self._records: list[Record] = []
        self._thumbnails: list[bytes | None] = []

    def add(
        self,
        samples: Sequence[Sample],
        images: NDArray[np.uint8],
        scores: Sequence[Mapping[str, float]] = (),
    ) -> None:
        """Add sprites [N, S, S, 4] with their samples and, if judged, each one's scores."""
        if images.dtype != np.uint8 or images.shape[1:] != (images.shape[1], images.shape[1], 4):
            raise ValueError(f"images are {images.dtype} {images.shape}, not uint8 [N, S, S, 4]")
        judged = scores or [{}] * len(samples)
        for sample, image, values in zip(samples, images, judged, strict=True):
            record = _record(sample, image, values)
            picture = png.encode(image)
            self._files += (
                tar.member(f"{record.key}.png", picture),
                tar.member(f"{record.key}.json", record.encode()),
            )
            self._digest.update(record.context_id, record.index, record.sha256)
            self._records.append(record)
            self._thumbnails.append(picture if _previewed(sample) else None)

    def finish(self) -> Packed:
        part = parts.build(self._records, self._thumbnails)
        content = b"".join([*self._files, tar.end()])
        return Packed(content, part, len(self._records), self._digest.hexdigest())


def pack(
    samples: Sequence[Sample],
    images: NDArray[np.uint8],
    scores: Sequence[Mapping[str, float]] = (),
) -> Packed:
    """Pack sprites that are all there; see `Packer`."""
    packer = Packer()
    packer.add(samples, images, scores)
    return packer.finish()


def unpack(stream: BinaryIO, size: int) -> Iterator[tuple[Record, bytes]]:
    """Each record of a shard with its PNG file, of sprites size x size. Raises CorruptError."""
    largest = max(png.bound(size), MAX_RECORD_BYTES)
    files = tar.members(stream, largest)
    for name, picture in files:
        key = name.removesuffix(".png")
        beside, raw = next(files, ("", b""))
        if name != f"{key}.png" or beside != f"{key}.json":
            raise CorruptError(f"{name!r} and {beside!r} in the shard are no pair of PNG and JSON")
        record = decode(raw)
        if record.key != key:
            raise CorruptError(f"{beside!r} in the shard is the record of {record.key!r}")
        yield record, picture


def _record(sample: Sample, image: NDArray[np.uint8], scores: Mapping[str, float]) -> Record:
    context = sample.context
    return Record(
        key=sample.key,
        number=sample.number,
        context_id=context.id,
        context_label=context.label,
        class_name=context.class_name,
        caption=context.caption,
        index=sample.index,
        seed=sample.noise_key.hex(),
        sha256=pixels_sha256(image),
        scores=dict(scores),
    )


def _previewed(sample: Sample) -> bool:
    return sample.index < parts.PREVIEW_SAMPLES and sample.context.number < parts.PREVIEW_CONTEXTS
