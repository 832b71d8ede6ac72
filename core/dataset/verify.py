"""Proving a dataset, offline: every file, every sample, every pixel, and nothing else there."""

import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from core.dataset import index, partial, truth
from core.dataset.digest import Digest
from core.dataset.layout import INDEX, MANIFEST, PARTIAL, REQUEST
from core.dataset.manifest import Manifest, numbers
from core.dataset.report import EDITED, FINISH, Problem, Problems, Report
from core.dataset.shard_check import Checked, ShardCheck, Task
from core.dataset.source import CHUNK, OnProgress, Source, read_manifest, stream
from core.errors import CorruptError, NotFoundError, RequestError
from core.request import document, load
from core.request.plan import RENDERER_VERSION, Plan, digest, plan
from core.storage.files import disk_errors

_WORTH_PROCESSES = 2**28  # a process takes a second to start
_AHEAD = 2

_begun: list[ShardCheck] = []


def verify(source: Source, on_progress: OnProgress | None = None, processes: int = 1) -> Report:
    """Check all that the manifest says, reading each file once and holding one shard's records.

    With more `processes`, which need to read the source themselves, shards are shared out; the
    program must be one that can be imported again. Kinds of problems: unfinished, manifest,
    missing, extra, size, hash, request, shard, pixels, order, index, count, digest, partial. Raises
    StoreError or UnreachableError when the source itself cannot be read.
    """
    try:
        manifest = read_manifest(source)
    except NotFoundError:
        if PARTIAL in source.files():
            return partial.verify(source, on_progress)
        problem = Problem("unfinished", MANIFEST, "there is no manifest.", FINISH)
        return Report((problem,), 0, 0, "")
    except CorruptError as error:
        return Report((Problem("manifest", MANIFEST, error.message, EDITED),), 0, 0, "")
    return _Check(source, manifest, on_progress, processes).run()


class _Check:
    """One pass over a dataset."""

    def __init__(
        self,
        source: Source,
        manifest: Manifest,
        on_progress: OnProgress | None,
        processes: int,
    ) -> None:
        self._source = source
        self._manifest = manifest
        self._on_progress = on_progress
        self._problems = Problems()
        self._digest = Digest()
        self._samples = 0
        self._bytes = 0
        self._total = sum(manifest.sizes().values())
        self._processes = processes if self._total > _WORTH_PROCESSES else 1
        self._unreadable = False
        self._readable: set[str] = set()

    def run(self) -> Report:
        self._listing()
        with tempfile.TemporaryDirectory(prefix="spritemill-") as folder:
            for file in self._manifest.files:
                self._copy(file.name, file.sha256, Path(folder) / file.name)
            made = self._request(Path(folder) / REQUEST)
            rows = Path(folder) / INDEX if (Path(folder) / INDEX).exists() else None
            if rows:
                self._footer(rows)
            left_out = frozenset(sample.number for sample in self._manifest.quarantined)
            check = ShardCheck(self._source, self._manifest.model.size, made, rows, left_out)
            for checked in _checked(check, self._tasks(), self._processes):
                self._take(checked)
            if rows:
                self._leftover(rows)
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
                return None
        return made

    def _footer(self, path: Path) -> None:
        """The index keeps a copy of the manifest: it tells when that was sealed anew."""
        try:
            kept = truth.footer(path)
        except CorruptError:
            return  # reading its rows tells
        if kept and kept.manifest != truth.without_files(self._manifest):
            detail = f"it says otherwise than the copy that {INDEX} keeps."
            self._add("manifest", MANIFEST, detail, EDITED)

    def _tasks(self) -> Iterator[Task]:
        """The shards in order, each with the place of its samples in the plan and in the index."""
        row, end = 0, 0
        for position, (shard, run) in enumerate(
            zip(self._manifest.shards, numbers(self._manifest), strict=True)
        ):
            first, end = (run[0], run[-1] + 1) if run else (end, end)
            there = shard.name in self._readable
            yield Task(shard, position, first, end, row, there)
            row += shard.samples

    def _take(self, checked: Checked) -> None:
        for problem in checked.problems:
            self._problems.add(problem.kind, problem.where, problem.detail, problem.remedy)
        self._samples += checked.samples
        self._read(checked.read)
        if checked.lines is None:
            self._unreadable = True
        else:
            self._digest.add(checked.lines)

    def _leftover(self, path: Path) -> None:
        """Rows of the index beyond those of the shards."""
        held = sum(shard.samples for shard in self._manifest.shards)
        try:
            for row in index.Cursor(path).take(held, 1):
                self._add("index", INDEX, f"it lists {row['key']}, which no shard holds.", EDITED)
        except CorruptError as error:
            self._add("index", INDEX, f"{error.message}.", EDITED)

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


def _checked(check: ShardCheck, tasks: Iterator[Task], processes: int) -> Iterator[Checked]:
    """What the shards show, in order, a few ahead of what is taken."""
    if processes == 1:
        yield from map(check, tasks)
        return
    with ProcessPoolExecutor(
        processes, get_context("spawn"), initializer=_begin, initargs=(check,)
    ) as pool:
        ahead: deque[Future[Checked]] = deque()
        for task in tasks:
            ahead.append(pool.submit(_one, task))
            if len(ahead) > _AHEAD * processes:
                yield ahead.popleft().result()
        for each in ahead:
            yield each.result()


def _begin(check: ShardCheck) -> None:
    """In each process of the pool, once."""
    _begun.append(check)


def _one(task: Task) -> Checked:
    return _begun[0](task)
