"""What workers leave in the folder of a job that is over: found, and removed."""

from collections.abc import Callable, Iterator

import structlog

from core.dataset.layout import MANIFEST, SHARD, dataset_prefix, work_prefix
from core.dataset.manifest import Manifest
from core.dataset.source import StoreSource, read_manifest
from core.errors import ConflictError, CorruptError, NotFoundError, SpritemillError
from core.ledger import Ledger, jobs, leftovers, shards
from core.ledger.jobs import Job
from core.ledger.states import TERMINAL, JobState
from core.storage import ObjectInfo, Store

_SECONDS = 1.0
_PAGE = 1000

log = structlog.get_logger(__name__)


class Sweeper:
    """Looks once more through a job that is over, and of which a worker lost a shard: one that
    slept in the middle of an upload ends it when the job's own cleaning is long done.

    It takes only what nobody can need again, so that no lock is held: what is on its way to the
    store may arrive whenever it likes.
    """

    def __init__(
        self, ledger: Ledger, store: Store, leads: Callable[[], bool] = lambda: True
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._leads = leads

    def step(self) -> float:
        """The seconds until the next look. Raises the last error of those that jobs had."""
        failed: SpritemillError | None = None
        for name, count in leftovers.due(self._ledger).items():
            try:
                self._sweep(name, count)
            except SpritemillError as error:
                log.warning("job.not_swept", job=name, error=error.message)
                failed = error
        if failed:
            raise failed
        return _SECONDS

    def _sweep(self, name: str, count: int) -> None:
        try:
            job = jobs.get(self._ledger, name)
        except NotFoundError:  # it was removed, with all that it had
            return
        found = left(self._ledger, self._store, job)
        for key in found:
            if not self._leads():
                raise ConflictError("another orchestrator may lead now: it sweeps what is left.")
            self._store.delete(key)
        leftovers.clear(self._ledger, name, count)
        if found:
            log.info("job.swept", job=name, removed=len(found))


def left(ledger: Ledger, store: Store, job: Job) -> list[str]:
    """The keys of what workers sent for a job that is over, and nobody will ask for.

    Of a whole dataset those are parts of its index: shards have the names that it knows, and what
    else lies there may be a repair's. One that lacks samples may be opened anew, which needs them.
    """
    if job.state != JobState.SUCCEEDED:
        return [info.key for info in orphans(ledger, store, job) if _is_workers(info.key, job.id)]
    try:
        manifest = find_manifest(store, job.id)
    except CorruptError:
        return []
    if manifest is None or manifest.failed():
        return []
    return [info.key for info in store.list(work_prefix(job.id))]


def _is_workers(key: str, job: str) -> bool:
    shard = SHARD.fullmatch(key.removeprefix(dataset_prefix(job)))
    return key.startswith(work_prefix(job)) or shard is not None


def orphans(ledger: Ledger, store: Store, job: Job) -> list[ObjectInfo]:
    """The objects of a job that neither its manifest nor its rows name.

    Nothing while it is not over, a worker has yet to leave it, or what names them cannot be read.
    """
    if job.state not in TERMINAL or job.shards_leased:
        return []
    there = objects(store, job.id)
    try:
        told = named_by(find_manifest(store, job.id), job.id)
    except CorruptError:
        return []
    if job.state == JobState.SUCCEEDED and not told:
        return []  # what tells the manifest anew is not named by anything else
    named = told | set(_named_by_rows(ledger, job.id))
    return [info for info in there if info.key not in named]


def objects(store: Store, job: str) -> list[ObjectInfo]:
    """All that is stored of a job."""
    return [
        info for prefix in (dataset_prefix(job), work_prefix(job)) for info in store.list(prefix)
    ]


def find_manifest(store: Store, job: str) -> Manifest | None:
    """Raises CorruptError when it cannot be read."""
    try:
        return read_manifest(StoreSource(store, job))
    except NotFoundError:
        return None


def named_by(manifest: Manifest | None, job: str) -> set[str]:
    """The keys that a job's manifest names, itself among them."""
    if manifest is None:
        return set()
    prefix = dataset_prefix(job)
    return {prefix + name for name in (*manifest.sizes(), MANIFEST)}


def _named_by_rows(ledger: Ledger, job: str) -> Iterator[str]:
    after = -1
    while page := shards.done(ledger, job, after, _PAGE):
        for shard in page:
            yield shard.key
            yield shard.part_key
        after = page[-1].number
