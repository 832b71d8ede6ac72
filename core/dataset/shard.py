"""A shard: the samples that one task renders, as a WebDataset tar file and a part of the index."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.dataset import parts, png, refusals, tar
from core.dataset.digest import Digest
from core.dataset.record import Record, decode, pixels_sha256
from core.dataset.refusals import Unfilled
from core.errors import CorruptError
from core.request.plan import Plan, Sample, Shard
from core.sprites import likeness

if TYPE_CHECKING:
    import pyarrow as pa

MAX_RECORD_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Packed:
    """A shard's two files. `digest` is that of a dataset of these samples alone.

    `refused` counts refused drawings by rule, `unfilled` the samples that are left out for them,
    without those that could not be rendered.
    """

    tar: bytes
    part: bytes
    samples: int
    digest: str
    refused: Mapping[str, int] = field(default_factory=dict)
    unfilled: int = 0


class Packer:
    """Packs a shard as its sprites come.

    Equal sprites give equal bytes with equal versions of zlib and pyarrow, however they come.
    """

    def __init__(self, *, prints: bool = False) -> None:
        """`prints` lets near-duplicates be found later, without the shards."""
        self._prints: list[bytes] | None = [] if prints else None
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
        if self._prints is not None:
            self._prints += _printed(images)

    def finish(self, unfilled: Sequence[Unfilled] = ()) -> Packed:
        """The shard of all that was added, which also tells of the samples that are `unfilled`."""
        part = parts.build(self._records, self._thumbnails, unfilled, self._prints or ())
        content = b"".join([*self._files, tar.end()])
        refused: Counter[str] = Counter()
        for counts in [
            *(refusals.of(record.scores) for record in self._records),
            *(each.refused for each in unfilled),
        ]:
            refused.update(counts)
        samples = len(self._records)
        refused_all = sum(not each.error for each in unfilled)
        return Packed(content, part, samples, self._digest.hexdigest(), dict(refused), refused_all)


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


def part_of(tar_file: bytes, made: Plan) -> "pa.Table":
    """The part of the index of a shard that is packed already. Raises CorruptError."""
    pairs = list(unpack(BytesIO(tar_file), made.spec.size))
    pictures = [picture if _shown(record, made) else None for record, picture in pairs]
    printed: list[bytes] = []
    if made.request.quality and made.request.quality.apart is not None and pairs:
        size = made.spec.size
        printed = _printed(np.stack([png.decode(picture, size) for _, picture in pairs]))
    return parts.table([record for record, _ in pairs], pictures, printed)


def _printed(images: NDArray[np.uint8]) -> list[bytes]:
    return [row.tobytes() for row in likeness.prints(images).astype(np.uint8)]


def _shown(record: Record, made: Plan) -> bool:
    if record.index >= parts.PREVIEW_SAMPLES:
        return False
    return _previewed(next(made.samples(Shard(0, record.number, 1))))


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
        scores=dict(sorted(scores.items())),  # as in the index: a record can be told from its row
    )


def _previewed(sample: Sample) -> bool:
    return sample.index < parts.PREVIEW_SAMPLES and sample.context.number < parts.PREVIEW_CONTEXTS
