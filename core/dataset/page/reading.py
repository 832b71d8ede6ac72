"""The page of a finished dataset, with more sprites of it than are at hand when it is made."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from core.dataset import png
from core.dataset.index import parquet
from core.dataset.layout import INDEX, REQUEST
from core.dataset.manifest import Manifest, ShardFile
from core.dataset.page import document
from core.dataset.page.facts import Picture, gather
from core.dataset.page.real import Real
from core.dataset.parts import PREVIEW_CONTEXTS, PREVIEW_SAMPLES
from core.dataset.shard import unpack
from core.dataset.source import CHUNK, Source, stream
from core.errors import CorruptError
from core.request.load import parse
from core.request.plan import Plan
from core.storage.files import disk_errors

_HELD = 80 * 2**20
_MOST = 20_000

OnProgress = Callable[[int, int], None]
"""Called with the shards that are read and the shards there are to read."""


def render(
    source: Source,
    manifest: Manifest,
    real: Real | None = None,
    on_progress: OnProgress | None = None,
) -> str:
    """The page, from the whole index and as many sprites as 80 MB hold, evenly over the shards.

    Raises CorruptError.
    """
    request = _whole(source, manifest, REQUEST).decode("utf-8")
    plan = Plan(parse(request), manifest.model)
    with disk_errors("temporary files"), tempfile.TemporaryDirectory(prefix="spritemill-") as held:
        index = Path(held) / INDEX
        index.write_bytes(_whole(source, manifest, INDEX))
        facts = gather(plan, manifest, index)
        shown = _shown(index)
    pictures: list[Picture] = []
    compared: list[Picture] = []
    room = min(_MOST, _HELD // (4 * manifest.model.size**2))
    for shard, among in _chosen(manifest, shown, room, on_progress):
        for picture in _sprites(source, manifest, shard):
            if picture.key in shown:
                pictures.append(picture)
            if among and len(compared) < room:
                compared.append(picture)
    return document.render(facts, request, pictures, compared, real)


def _whole(source: Source, manifest: Manifest, name: str) -> bytes:
    with stream(source, name, lambda _count: None) as reader:
        data = b"".join(iter(lambda: reader.read(CHUNK), b""))
        found = reader.drain()
    if found != next(file.sha256 for file in manifest.files if file.name == name):
        raise _damaged(name)
    return data


def _shown(index: Path) -> dict[str, int]:
    """The keys of the first sprites of the first contexts, each with the number of its shard."""
    found: dict[str, int] = {}
    contexts: set[str] = set()
    with parquet(index) as file:
        columns = ["key", "context_id", "index", "shard"]
        for batch in file.iter_batches(columns=columns):
            first = batch.filter(pc.less(batch["index"], PREVIEW_SAMPLES))
            rows = (first[name].to_pylist() for name in ("key", "context_id", "shard"))
            for key, context, shard in zip(*rows, strict=True):
                if context in contexts or len(contexts) < PREVIEW_CONTEXTS:
                    contexts.add(context)
                    found[key] = shard
    return found


def _chosen(
    manifest: Manifest, shown: dict[str, int], room: int, on_progress: OnProgress | None
) -> Iterator[tuple[ShardFile, bool]]:
    """The shards to read, each with whether it is among those whose sprites are compared."""
    shards = manifest.shards
    each = max(1, manifest.samples // max(1, len(shards)))
    spread = {int(n) for n in np.linspace(0, len(shards) - 1, min(len(shards), -(-room // each)))}
    wanted = sorted(spread | set(shown.values()))
    for done, number in enumerate(wanted, start=1):
        yield shards[number], number in spread
        if on_progress:
            on_progress(done, len(wanted))


def _sprites(source: Source, manifest: Manifest, shard: ShardFile) -> Iterator[Picture]:
    size = manifest.model.size
    with stream(source, shard.name, lambda _count: None) as reader:
        for record, picture in unpack(reader, size):
            rgba = png.decode(picture, size)
            yield Picture(record.key, record.context_label, picture, rgba)
        if reader.drain() != shard.sha256:
            raise _damaged(shard.name)


def _damaged(name: str) -> CorruptError:
    return CorruptError(
        f"{name} is not the file that the manifest names.",
        remedy="`spritemill verify` tells what else is damaged, `spritemill repair` mends it.",
    )
