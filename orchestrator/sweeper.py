"""What workers leave in the folder of a job that is over: found, and removed."""

from collections.abc import Callable, Iterator

import structlog

from core.dataset.layout import MANIFEST, dataset_prefix, work_prefix
from core.dataset.manifest import Manifest
from core.dataset.source import StoreSource, read_manifest
from core.errors import ConflictError, CorruptError, NotFoundError
from core.ledger import Ledger, jobs, leftovers, shards
from core.ledger.jobs import Job
from core.ledger.states import TERMINAL, JobState
from core.storage import ObjectInfo, Store

_SECONDS = 1.0
_PAGE = 1000

log = structlog.get_logger(__name__)


class Sweeper:
    """Looks through each job that is over, and of which a worker lost a shard, once more: one that
    slept in the middle of an upload ends it when the job's own cleaning is long done.
    """

    def __init__(
        self, ledger: Ledger, store: Store, leads: Callable[[], bool] = lambda: True
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._leads = leads

    def step(self) -> float:
        """The seconds until the next look. Raises UnreachableError."""
        for name, count in leftovers.due(self._ledger).items():
            self._sweep(name, count)
        return _SECONDS

    def _sweep(self, name: str, count: int) -> None:
        try:
            job = jobs.get(self._ledger, name)
        except NotFoundError:  # it was removed, with all that it had
            return
        found = orphans(self._ledger, self._store, job)
        with leftovers.removing(self._ledger, job, count) as same:
            for info in found if same else ():
                if not self._leads():
                    raise ConflictError(
                        "another orchestrator may lead now: it sweeps what is left."
                    )
                self._store.delete(info.key)
        if same and found:
            log.info("job.swept", job=name, removed=len(found))


def orphans(ledger: Ledger, store: Store, job: Job) -> list[ObjectInfo]:
    """The objects of a job that neither its manifest nor its rows name. None while it is not over
    or a worker has yet to leave it, nor where what names them cannot be read.
    """
    if job.state not in TERMINAL or job.shards_leased:
        return []
    there = objects(store, job.id)
    try:
        manifest = find_manifest(store, job.id)
    except CorruptError:
        return []
    finished = job.state == JobState.SUCCEEDED
    if finished and manifest is None:
        return []  # what tells the manifest anew is not named by anything else
    named = named_by(manifest, job.id)
    whole = bool(finished and manifest and not manifest.failed())
    named |= set(_named_by_rows(ledger, job.id, parts=not whole))
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


def _named_by_rows(ledger: Ledger, job: str, *, parts: bool) -> Iterator[str]:
    """The `parts` of a whole dataset's index are of no more use."""
    after = -1
    while page := shards.done(ledger, job, after, _PAGE):
        for shard in page:
            yield shard.key
            if parts:
                yield shard.part_key
        after = page[-1].number
