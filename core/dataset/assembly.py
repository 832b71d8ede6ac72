"""Finishing a dataset: index, preview, card and, last, the manifest, over shards that are done."""

import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from core.dataset import card, index, png, refusals
from core.dataset.index import DoneShard, Merged
from core.dataset.inheritance import Inheritance
from core.dataset.layout import (
    CARD,
    INDEX,
    MANIFEST,
    PREVIEW,
    REPORT,
    REQUEST,
    content_type,
    dataset_prefix,
    work_prefix,
)
from core.dataset.manifest import File, Footer, Manifest, Quarantined, ShardFile
from core.dataset.page import document as page
from core.dataset.page.alike import find_alike
from core.dataset.page.facts import Picture, gather
from core.dataset.source import MAX_MANIFEST, StoreSource, read_manifest
from core.errors import ConflictError, NotFoundError
from core.faults import Point, reach
from core.request.load import parse
from core.request.plan import RENDERER_VERSION, Plan, digest, plan
from core.request.spec import Parent, Request
from core.sprites import sheet
from core.storage import Store
from core.storage.files import disk_errors
from core.weights.spec import ModelSpec

if TYPE_CHECKING:
    import pyarrow as pa

_PRINTS = "prints"
_SCRATCH = "the folder for temporary files"


@dataclass(frozen=True, slots=True)
class Finished:
    """A job whose shards are all done. Times are in epoch seconds, `started` of the first claim."""

    job: str
    name: str
    request_text: str
    request_digest: str
    weights: str
    spec: ModelSpec
    numerics: Mapping[str, Any]
    created: float
    started: float | None = None
    finished: float | None = None
    render_seconds: float = 0.0
    quarantined: tuple[Quarantined, ...] = ()

    @property
    def renderer(self) -> int:
        """The version of the workers' renderer, which need not be this program's; a fake one has
        none.
        """
        found = self.numerics.get("renderer")
        return found if isinstance(found, int) else RENDERER_VERSION


def assemble(store: Store, finished: Finished, shards: Iterable[DoneShard]) -> Manifest:
    """Write request, index, preview and card of a dataset, then its manifest.

    `shards` are all of the job, by number; those of a parent are copied. Begun again after a crash
    at any point, this gives the same dataset; a manifest that is there already is the answer.
    Raises CorruptError when a part of the index is not that of its shard, ConflictError when
    samples are missing.
    """
    try:
        return read_manifest(StoreSource(store, finished.job))
    except NotFoundError:
        pass  # the usual case: not finished yet
    made = plan(parse(finished.request_text), finished.spec, max_samples=sys.maxsize)
    parent = made.request.parent
    older = Inheritance(store, parent) if isinstance(parent, Parent) else None
    own = index.stored(store, finished.job, shards, made.kept_shards)
    parts = chain(older.copied(finished.job, made), own) if older else own
    prefix = dataset_prefix(finished.job)
    with disk_errors(_SCRATCH), tempfile.TemporaryDirectory(prefix="spritemill-") as folder:
        manifest = compose(
            made, parts, lambda merged: _manifest(finished, made, merged, older), Path(folder)
        )
        reach(Point.COMPOSED, finished.job)
        for file in manifest.files:
            path = Path(folder) / file.name
            store.put_file(prefix + file.name, path, content_type=content_type(file.name))
            reach(Point.STORED, file.name)
    text = manifest.encode()
    if len(text) > MAX_MANIFEST:  # nobody could read it
        raise ConflictError(
            f"job {finished.job}: its manifest would have {len(text):,} bytes, for it names "
            f"{len(manifest.quarantined):,} samples that are left out.",
            remedy="Loosen the request's quality rules, or allow more tries.",
        )
    store.put(prefix + MANIFEST, text, content_type=content_type(MANIFEST))
    reach(Point.STORED, MANIFEST)
    return manifest


def compose(
    made: Plan,
    parts: "Iterable[tuple[ShardFile, pa.Table]]",
    about: Callable[[Merged], Manifest],
    folder: Path,
) -> Manifest:
    """Write all files of a dataset but shards and manifest to a folder; the manifest of it all.

    `about` tells the manifest without its files. The index keeps that, and the request, in its
    footer: so each of manifest, request and index can be made again from the others.
    """
    told: list[Manifest] = []
    text = _request(made.request)

    def footer(merged: Merged) -> str:
        told.append(about(merged).sealed())
        return Footer(manifest=told[0], request=text).model_dump_json()

    with (folder / _PRINTS).open("w+b") as prints:
        merged = index.merge(parts, folder / INDEX, footer, prints)
    facts = told[0]
    reach(Point.MERGED, facts.job)
    (folder / REQUEST).write_text(text, encoding="utf-8")
    if made.request.outputs.preview:
        (folder / PREVIEW).write_bytes(_preview(made, merged))
    (folder / CARD).write_text(card.render(made, facts), encoding="utf-8")
    (folder / REPORT).write_text(_report(made, facts, merged, folder, text), encoding="utf-8")
    names = (REQUEST, INDEX, PREVIEW, REPORT, CARD)
    files = tuple(_file(folder / name) for name in names if (folder / name).exists())
    return facts.model_copy(update={"files": files}).sealed()


def clean(store: Store, manifest: Manifest) -> int:
    """Remove what a finished job leaves: parts of the index, uploads of fenced-off workers.

    The parts stay where samples could not be rendered: the dataset is made anew when they are. No
    lease of the job may live. Returns how many objects went.
    """
    prefix = dataset_prefix(manifest.job)
    kept = {prefix + name for name in (*manifest.sizes(), MANIFEST)}
    stale = [info.key for info in store.list(prefix) if info.key not in kept]
    if not manifest.failed():
        stale += [info.key for info in store.list(work_prefix(manifest.job))]
    for key in stale:
        store.delete(key)
        reach(Point.REMOVED, manifest.job)
    return len(stale)


def _check(finished: Finished, made: Plan, merged: Merged, left_out: int) -> None:
    if digest(made, finished.weights, finished.renderer) != finished.request_digest:
        raise ConflictError(
            f"job {finished.job} was planned for another version of the renderer than made it.",
            remedy="Submit it again with --again.",
        )
    numbers = [shard.number for shard in merged.shards]
    wanted = made.total - left_out
    shard_count = made.kept_shards + made.shard_count
    if numbers != list(range(shard_count)) or merged.samples != wanted:
        raise ConflictError(
            f"job {finished.job} has {merged.samples:,} samples in {len(numbers):,} shards, "
            f"but {wanted:,} in {shard_count:,} were asked for.",
            remedy="It can be finished when all its shards are done.",
        )


def _manifest(
    finished: Finished, made: Plan, merged: Merged, older: Inheritance | None
) -> Manifest:
    kept = older.manifest.quarantined if older else ()
    unfilled = (
        Quarantined(number=each.number, key=each.key, reason=each.reason, refused=each.refused)
        for each in merged.unfilled
    )
    quarantined = (*kept, *sorted((*finished.quarantined, *unfilled), key=lambda q: q.number))
    _check(finished, made, merged, len(quarantined))
    return Manifest(
        job=finished.job,
        name=finished.name,
        created=_moment(finished.created),
        started=_moment(finished.started),
        finished=_moment(finished.finished),
        render_seconds=round(finished.render_seconds, 3),
        version=version("spritemill"),
        renderer_version=finished.renderer,
        request_digest=finished.request_digest,
        weights=finished.weights,
        model=finished.spec,
        numerics=dict(finished.numerics),
        samples=merged.samples,
        contexts=made.context_count,
        dataset_digest=merged.digest.hexdigest(),
        files=(),
        shards=tuple(merged.shards),
        quarantined=quarantined,
        refused=refusals.total(merged.refusals.by_rule, (each.refused for each in quarantined)),
        ancestors=older.ancestors if older else (),
    )


def _moment(epoch: float | None) -> str:
    if epoch is None:
        return ""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds")


def _request(request: Request) -> str:
    """The resolved request as YAML: it asks for the same when the model's defaults change."""
    values = request.model_dump(mode="json", by_alias=True, exclude_none=True)
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(values, Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text


def _preview(made: Plan, merged: Merged) -> bytes:
    request, size = made.request, made.spec.size
    sampling = request.sampling
    rows = [
        (label, [png.decode(picture.png, size) for picture in pictures])
        for label, pictures in groupby(merged.pictures, lambda picture: picture.context)
    ]
    note = (
        f"{merged.samples:,} sprites in {made.context_count:,} contexts, {size} x {size}, "
        f"{made.spec.name}, {sampling.sampler} with {sampling.steps} steps, seed {request.seed}"
    )
    buffer = BytesIO()
    sheet.draw(request.name, note, rows).save(buffer, "PNG")
    return buffer.getvalue()


def _report(made: Plan, facts: Manifest, merged: Merged, folder: Path, request: str) -> str:
    size = made.spec.size
    pictures = [
        Picture(each.key, each.context, each.png, png.decode(each.png, size))
        for each in merged.pictures
    ]
    told = gather(made, facts, folder / INDEX)
    find_alike(told, folder / _PRINTS, folder / INDEX)
    return page.render(told, request, pictures)


def _file(path: Path) -> File:
    with path.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    return File.model_validate({"name": path.name, "sha256": sha256, "size": path.stat().st_size})
