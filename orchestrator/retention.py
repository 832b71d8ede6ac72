"""What may go: what nothing names, cancelled jobs, expired datasets, half-written objects.

Kept are: all objects of a job that is not over or whose workers have yet to leave it, all that a
manifest names, all that a row names, and the dataset that a live job extends.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from math import inf
from typing import TYPE_CHECKING

from core.dataset.layout import is_job
from core.errors import ConflictError, CorruptError, NotFoundError
from core.ledger import jobs
from core.ledger.states import TERMINAL, JobState
from core.settings import Settings
from core.storage import ObjectInfo, Store
from orchestrator.sweeper import find_manifest, named_by, objects, orphans

if TYPE_CHECKING:
    from core.ledger import Ledger
    from core.ledger.jobs import Job
    from orchestrator.service import Service

_DAY = 86400.0
_ALL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something that may go, by the `rule`: cancelled, expired, orphan or temporary.

    `what` is a job's id for the first two, else a key in the store; `size` is in bytes.
    """

    rule: str
    what: str
    size: int
    why: str


def collect(
    service: "Service", older_than: float | None = None, *, remove: bool = False
) -> Iterator[Garbage]:
    """Tell what may go; with `remove`, each has gone when it is told.

    Datasets expire after `older_than` seconds, unless told after what the settings say.
    """
    leaving = list(_leaving(service, older_than))
    for job, garbage in leaving:
        if not remove or _removed(service, job.id):
            yield garbage
    known = {job.id for job, _ in leaving}
    for name in sorted(_stored(service.store) - known):
        for info in _orphans(service, name):
            if remove:
                service.store.delete(info.key)
            yield Garbage("orphan", info.key, info.size, "neither a manifest nor the ledger has it")
    for info in service.store.unfinished(time.time() - _DAY, remove=remove):
        yield Garbage("temporary", info.key, info.size, "half-written, by a process that died")


def _removed(service: "Service", job: str) -> bool:
    """Whether it went: it may have been taken up again, or removed, since it was listed."""
    try:
        service.remove(job)
    except (ConflictError, NotFoundError):
        return False
    return True


def _leaving(service: "Service", older_than: float | None) -> "Iterator[tuple[Job, Garbage]]":
    """The jobs that go as a whole."""
    for job in jobs.list(service.ledger, states=TERMINAL, limit=_ALL):
        age = time.time() - (job.finished_at or job.created_at)
        expired = age > _lifetime(service.settings, job.state, older_than)
        if expired and not job.shards_leased and not _extended(service.ledger, job):
            rule = "cancelled" if job.state == JobState.CANCELLED else "expired"
            why = f"{job.state} {age / _DAY:.1f} days ago"
            yield job, Garbage(rule, job.id, job.bytes_done, why)


def _lifetime(settings: Settings, state: JobState, older_than: float | None) -> float:
    if state == JobState.CANCELLED:
        return settings.keep_cancelled_days * _DAY
    if older_than is not None:
        return older_than
    return settings.keep_dataset_days * _DAY or inf


def _extended(ledger: "Ledger", job: "Job") -> bool:
    """Whether a live job is to take over this one's dataset."""
    digest = job.dataset_digest
    return digest is not None and jobs.extending(ledger, digest) is not None


def _stored(store: Store) -> set[str]:
    """The jobs of which something is in the store."""
    listed = chain(store.list("datasets/"), store.list("work/"))
    names = {info.key.split("/")[1] for info in listed}
    return {name for name in names if is_job(name)}


def _orphans(service: "Service", name: str) -> list[ObjectInfo]:
    """The objects of a job that nothing names."""
    try:
        return orphans(service.ledger, service.store, jobs.get(service.ledger, name))
    except NotFoundError:  # removed, or from elsewhere: it may be on its way yet
        return _strays(service, name)


def _strays(service: "Service", name: str) -> list[ObjectInfo]:
    there = objects(service.store, name)
    quiet = time.time() - max(service.settings.keep_cancelled_days, 1.0) * _DAY
    if _newest(there) > quiet:
        return []
    try:
        named = named_by(find_manifest(service.store, name), name)
    except CorruptError:
        return []
    return [info for info in there if info.key not in named]


def _newest(there: list[ObjectInfo]) -> float:
    return max((info.modified for info in there), default=0.0)
