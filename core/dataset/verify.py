"""Proving a dataset, offline: every file, every sample, every pixel, and nothing else there."""

import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from core.dataset import index, png
from core.dataset.digest import Digest
from core.dataset.layout import INDEX, MANIFEST, REQUEST, shard_name
from core.dataset.manifest import Manifest, ShardFile
from core.dataset.record import Record, pixels_sha256
from core.dataset.report import EDITED, FINISH, Problem, Problems, Report
from core.dataset.shard import unpack
from core.dataset.source import CHUNK, OnProgress, Source, read_manifest, stream
from core.errors import CorruptError, NotFoundError, RequestError
from core.request import document, load
from core.request.plan import RENDERER_VERSION, Plan, Sample, Shard, digest, plan
from core.storage.files import disk_errors


def verify(source: Source, on_progress: OnProgress | None = None) -> Report:
    """Check all that the manifest says, reading each file once and holding one shard's records.

    Kinds of problems: unfinished, manifest, missing, extra, size, hash, request, shard, pixels,
    order, index, count, digest. Raises StoreError or UnreachableError when the source itself
    cannot be read.
    """
    try:
        manifest = read_manifest(source)
    except NotFoundError:
        problem = Problem("unfinished", MANIFEST, "there is no manifest.", FINISH)
        return Report((problem,), 0, 0, "")
    except CorruptError as error:
        return Report((Problem("manifest", MANIFEST, error.message, EDITED),), 0, 0, "")
    return _Check(source, manifest, on_progress).run()


class _Check:
    """One pass over a dataset."""

    def __init__(self, source: Source, manifest: Manifest, on_progress: OnProgress | None) -> None:
        self._source = source
        self._manifest = manifest
        self._on_progress = on_progress
        self._problems = Problems()
        self._digest = Digest()
        self._samples = 0
        self._bytes = 0
        self._total = sum(manifest.sizes().values())
        self._unreadable = False
        self._readable: set[str] = set()

    def run(self) -> Report:
        self._listing()
        with tempfile.TemporaryDirectory(prefix="spritemill-") as folder:
            for file in self._manifest.files:
                self._copy(file.name, file.sha256, Path(folder) / file.name)
            made = self._request(Path(folder) / REQUEST)
            expected = self._expected(made)
            rows = self._rows(Path(folder) / INDEX)
            for position, shard in enumerate(self._manifest.shards):
                self._shard(position, shard, expected, rows)
            if left := next(rows, None):
                self._add("index", INDEX, f"it lists {left['key']}, which no shard holds.", EDITED)
        self._totals(made)
        found = "" if self._unreadable else self._digest.hexdigest()
        if found and found != self._manifest.dataset_digest:
            self._add("digest", "dataset", f"its digest is {found}, not the manifest's.", EDITED)
        return Report(self._problems.all(), self._samples, self._bytes, found)

    def _add(self, *problem: str) -> None:
        self._problems.add(*problem)

    def _listing(self) -> None:
        """What lies there against what the manifest names."""
        there = self._source.files()
        named = self._manifest.sizes()
        for name, size in named.items():
            if name not in there:
                self._add("missing", name, "the manifest names it, but it is not there.")
            elif there[name] != size:
                self._add("size", name, f"it has {there[name]:,} bytes instead of {size:,}.")
            else:
                self._readable.add(name)
        for name in sorted(there.keys() - named.keys() - {MANIFEST}):
            remedy = "Move it out of the dataset."
            self._add("extra", name, "the manifest does not name it.", remedy)

    def _copy(self, name: str, sha256: str, path: Path) -> None:
        """Copy a file where it can be read at random, if it is the manifest's."""
        if name not in self._readable:
            return
        with stream(self._source, name, self._read) as reader, path.open("wb") as copy:
            while chunk := reader.read(CHUNK):
                with disk_errors(str(path)):
                    copy.write(chunk)
            found = reader.drain()
        if found != sha256:
            self._add("hash", name, f"its SHA-256 is {found}, not the manifest's.")
            path.unlink()

    def _read(self, count: int) -> None:
        self._bytes += count
        if self._on_progress:
            self._on_progress(self._bytes, self._total)

    def _request(self, path: Path) -> Plan | None:
        """The plan of the dataset's request, or None when it cannot be had."""
        manifest = self._manifest
        if not path.exists():
            return None
        try:
            made = plan(load.parse(document.read(path)), manifest.model, max_samples=sys.maxsize)
        except RequestError as error:
            self._add("request", REQUEST, f"{error}.", EDITED)
            return None
        if manifest.renderer_version == RENDERER_VERSION:
            found = digest(made, manifest.weights)
            if found != manifest.request_digest:
                self._add("request", REQUEST, f"its digest is {found}, not the manifest's.", EDITED)
        return made

    def _expected(self, made: Plan | None) -> Iterator[Sample]:
        """The samples that the dataset must hold, in order."""
        if made is None:
            return
        left_out = {sample.number for sample in self._manifest.quarantined}
        for sample in made.samples(Shard(0, 0, made.total)):
            if sample.number not in left_out:
                yield sample

    def _rows(self, path: Path) -> Iterator[dict[str, Any]]:
        """The rows of the index, as far as it can be read."""
        if not path.exists():
            return
        try:
            yield from index.rows(path)
        except CorruptError as error:
            self._add("index", INDEX, f"{error.message}.", EDITED)

    def _shard(
        self,
        position: int,
        shard: ShardFile,
        expected: Iterator[Sample],
        rows: Iterator[dict[str, Any]],
    ) -> None:
        wanted = list(islice(expected, shard.samples))
        listed = list(islice(rows, shard.samples))
        if shard.number != position or shard.name != shard_name(shard.number, shard.sha256):
            self._add("manifest", shard.name, "its number or name is not its own.", EDITED)
        records = self._records(shard)
        if records is None:
            self._unreadable = True
            return
        self._samples += len(records)
        if len(records) != shard.samples:
            detail = f"it holds {len(records):,} samples instead of {shard.samples:,}."
            self._add("count", shard.name, detail, EDITED)
        self._compare(shard, records, wanted, listed)

    def _compare(
        self,
        shard: ShardFile,
        records: list[Record],
        wanted: list[Sample],
        listed: list[dict[str, Any]],
    ) -> None:
        """The first sample of a shard that is not the request's, the first that the index has
        otherwise."""
        for record, sample in zip(records, wanted, strict=False):
            if not _same(record, sample):
                detail = f"{record.key} is where the request has {sample.key}."
                self._add("order", shard.name, detail, EDITED)
                break
        for record, row in zip(records, listed, strict=False):
            if index.row(record, shard.number) != row:
                detail = f"it says otherwise of {record.key} than {shard.name}."
                self._add("index", INDEX, detail, EDITED)
                break

    def _records(self, shard: ShardFile) -> list[Record] | None:
        """The records of a shard, its sprites decoded; None when it is damaged."""
        if shard.name not in self._readable:
            return None
        size = self._manifest.model.size
        records, wrong, fault = [], [], ""
        with stream(self._source, shard.name, self._read) as reader:
            try:
                for record, picture in islice(unpack(reader, size), shard.samples + 1):
                    found = pixels_sha256(png.decode(picture, size))
                    self._digest.update(record.context_id, record.index, found)
                    records.append(record)
                    if found != record.sha256:
                        wrong.append(record.key)
            except CorruptError as error:
                fault = error.message
            sha256 = reader.drain()
        if sha256 != shard.sha256:
            self._add("hash", shard.name, f"its SHA-256 is {sha256}, not the manifest's.")
            return None
        if fault:
            self._add("shard", shard.name, f"{fault}.", EDITED)
            return None
        for key in wrong:
            self._add("pixels", f"{shard.name}/{key}", "its pixels have another hash.", EDITED)
        return records

    def _totals(self, made: Plan | None) -> None:
        manifest = self._manifest
        held = sum(shard.samples for shard in manifest.shards)
        if made is not None:
            asked = made.total - len(manifest.quarantined)
            if (held, manifest.contexts) != (asked, made.context_count):
                detail = f"the shards hold {held:,} samples, {asked:,} were asked for."
                self._add("count", "dataset", detail, EDITED)
        if held != manifest.samples:
            detail = f"it says {manifest.samples:,} samples, its shards hold {held:,}."
            self._add("count", MANIFEST, detail, EDITED)


def _same(record: Record, sample: Sample) -> bool:
    context = sample.context
    return (
        record.key, record.number, record.index, record.context_id,
        record.context_label, record.class_name, record.caption,
    ) == (
        sample.key, sample.number, sample.index, context.id,
        context.label, context.class_name, context.caption,
    )  # fmt: skip
