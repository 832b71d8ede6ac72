"""Finishing a dataset: index, preview, card and, last, the manifest, over shards that are done."""

import hashlib
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

from core.dataset import card, index, png
from core.dataset.index import DoneShard, Merged
from core.dataset.layout import (
    CARD,
    INDEX,
    MANIFEST,
    PREVIEW,
    REQUEST,
    dataset_prefix,
    work_prefix,
)
from core.dataset.manifest import File, Manifest, Quarantined
from core.dataset.source import StoreSource, read_manifest
from core.errors import ConflictError, NotFoundError
from core.request.load import parse
from core.request.plan import RENDERER_VERSION, Plan, digest, plan
from core.request.spec import Request
from core.sprites import sheet
from core.storage import ObjectInfo, Store
from core.storage.files import disk_errors
from core.weights.spec import ModelSpec

_SCRATCH = "the folder for temporary files"


@dataclass(frozen=True, slots=True)
class Finished:
    """A job whose shards are all done. `created` is in epoch seconds."""

    job: str
    name: str
    request_text: str
    request_digest: str
    weights: str
    spec: ModelSpec
    numerics: Mapping[str, Any]
    created: float
    quarantined: tuple[Quarantined, ...] = ()


def assemble(store: Store, finished: Finished, shards: Iterable[DoneShard]) -> Manifest:
    """Write request, index, preview and card of a dataset, then its manifest.

    `shards` are all of the job, by number. Begun again after a crash at any point, this gives the
    same dataset; a manifest that is there already is the answer. Raises CorruptError when a part
    of the index is not that of its shard, ConflictError when samples are missing.
    """
    try:
        return read_manifest(StoreSource(store, finished.job))
    except NotFoundError:
        pass  # the usual case: not finished yet
    made = plan(parse(finished.request_text), finished.spec, max_samples=sys.maxsize)
    prefix = dataset_prefix(finished.job)
    files = [_put(store, prefix, REQUEST, _request(made.request), "application/yaml")]
    with disk_errors(_SCRATCH), tempfile.TemporaryDirectory(prefix="spritemill-") as folder:
        path = Path(folder) / INDEX
        merged = index.merge(store, finished.job, shards, path)
        _check(finished, made, merged)
        files.append(_file(INDEX, store.put_file(prefix + INDEX, path), _hash(path)))
    if made.request.outputs.preview:
        files.append(_put(store, prefix, PREVIEW, _preview(made, merged), "image/png"))
    text = card.render(made, finished.weights, merged.samples, merged.digest.hexdigest())
    files.append(_put(store, prefix, CARD, text.encode(), "text/markdown; charset=utf-8"))
    manifest = _manifest(finished, made, merged, files)
    store.put(prefix + MANIFEST, manifest.encode(), content_type="application/json")
    return manifest


def clean(store: Store, manifest: Manifest) -> int:
    """Remove what a finished job leaves: parts of the index, uploads of fenced-off workers.

    No lease of the job may live. Returns how many objects went.
    """
    prefix = dataset_prefix(manifest.job)
    kept = {prefix + name for name in (*manifest.sizes(), MANIFEST)}
    stale = [info.key for info in store.list(prefix) if info.key not in kept]
    stale += [info.key for info in store.list(work_prefix(manifest.job))]
    for key in stale:
        store.delete(key)
    return len(stale)


def _check(finished: Finished, made: Plan, merged: Merged) -> None:
    if digest(made, finished.weights) != finished.request_digest:
        raise ConflictError(
            f"job {finished.job} was planned by a version of Spritemill with another renderer.",
            remedy="Submit it again with --again.",
        )
    numbers = [shard.number for shard in merged.shards]
    wanted = made.total - len(finished.quarantined)
    if numbers != list(range(made.shard_count)) or merged.samples != wanted:
        raise ConflictError(
            f"job {finished.job} has {merged.samples:,} samples in {len(numbers):,} shards, "
            f"but {wanted:,} in {made.shard_count:,} were asked for.",
            remedy="It can be finished when all its shards are done.",
        )


def _manifest(finished: Finished, made: Plan, merged: Merged, files: list[File]) -> Manifest:
    return Manifest(
        job=finished.job,
        name=finished.name,
        created=datetime.fromtimestamp(finished.created, UTC).isoformat(timespec="seconds"),
        version=version("spritemill"),
        renderer_version=RENDERER_VERSION,
        request_digest=finished.request_digest,
        weights=finished.weights,
        model=finished.spec,
        numerics=dict(finished.numerics),
        samples=merged.samples,
        contexts=made.context_count,
        dataset_digest=merged.digest.hexdigest(),
        files=tuple(files),
        shards=tuple(merged.shards),
        quarantined=finished.quarantined,
    ).sealed()


def _request(request: Request) -> bytes:
    """The resolved request as YAML: it asks for the same when the model's defaults change."""
    values = request.model_dump(mode="json", by_alias=True, exclude_none=True)
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(values, Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text.encode()


def _preview(made: Plan, merged: Merged) -> bytes:
    request, size = made.request, made.spec.size
    sampling = request.sampling
    rows = [
        (label, [png.decode(picture, size) for picture in pictures])
        for label, pictures in merged.pictures.values()
    ]
    note = (
        f"{merged.samples:,} sprites in {made.context_count:,} contexts, {size} x {size}, "
        f"{made.spec.name}, {sampling.sampler} with {sampling.steps} steps, seed {request.seed}"
    )
    buffer = BytesIO()
    sheet.draw(request.name, note, rows).save(buffer, "PNG")
    return buffer.getvalue()


def _put(store: Store, prefix: str, name: str, data: bytes, content_type: str) -> File:
    info = store.put(prefix + name, data, content_type=content_type)
    return _file(name, info, hashlib.sha256(data).hexdigest())


def _file(name: str, info: ObjectInfo, sha256: str) -> File:
    return File.model_validate({"name": name, "sha256": sha256, "size": info.size})


def _hash(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
