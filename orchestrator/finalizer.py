"""From a job whose shards are all done to a finished dataset."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import structlog

from core.dataset.assembly import Finished, assemble, clean
from core.dataset.manifest import Manifest
from core.errors import ConflictError, SpritemillError
from core.faults import Point, reach
from core.ledger import Ledger, delays, events, jobs, shards, workers
from core.ledger.jobs import Job
from core.ledger.shards import DoneShard
from core.ledger.states import JobState
from core.storage import Store
from orchestrator import models

_IDLE_SECONDS = 0.2
_PAGE = 1000
_NAMED = 5
_CHANGING = ("put", "put_file", "delete")

log = structlog.get_logger(__name__)


class Finalizer:
    """One job a step. A crash at any point is mended by doing it again.

    Whoever does it again, even beside one who has only slept, writes the same bytes: nothing in
    them is of the moment or of the process. Who does not lead any more writes nothing: the job may
    have been finished, opened anew and changed meanwhile.
    """

    def __init__(
        self, ledger: Ledger, store: Store, leads: Callable[[], bool] = lambda: True
    ) -> None:
        self._ledger = ledger
        self._leads = leads
        self._store = cast("Store", _LeadersStore(store, self._confirm))
        self._tried: dict[str, int] = {}

    def step(self) -> float:
        """Finish the oldest job of those tried least often; the seconds until it is due again."""
        waiting = jobs.finalizing(self._ledger)
        self._tried = {name: self._tried.get(name, 0) for name in waiting}
        if not waiting:
            return _IDLE_SECONDS
        job = jobs.get(self._ledger, min(waiting, key=self._tried.__getitem__))
        self._tried[job.id] += 1
        try:
            self._finish(job)
        except SpritemillError as error:
            if error.retryable:
                delays.tell(self._ledger, job.id, error.message)
            if error.retryable or not self._leads():  # another may have removed what was missing
                raise
            log.exception("job.not_finished", job=job.id)
            jobs.move(self._ledger, job.id, JobState.FAILED, error=str(error))
        return 0.0

    def _finish(self, job: Job) -> None:
        reach(Point.FINALIZING, job.id)
        manifest = assemble(self._store, self._facts(job), self._shards(job.id))
        removed = clean(self._store, manifest)
        reach(Point.CLEANED, job.id)
        digest = manifest.dataset_digest
        missing = _missing(manifest)
        self._confirm()
        jobs.move(self._ledger, job.id, JobState.SUCCEEDED, error=missing, dataset_digest=digest)
        reach(Point.SUCCEEDED, job.id)
        log.info("job.succeeded", job=job.id, digest=digest, removed=removed)

    def _confirm(self) -> None:
        """Raises ConflictError when another may lead."""
        if not self._leads():
            raise ConflictError("another orchestrator may lead now: it finishes what is left.")

    def _facts(self, job: Job) -> Finished:
        return Finished(
            job=job.id,
            name=job.name,
            request_text=jobs.request_text(self._ledger, job.id),
            request_digest=job.request_digest,
            weights=job.weights,
            spec=models.of_weights(job.weights, self._ledger).spec,
            numerics=workers.facts(self._ledger, job.numerics) if job.numerics else {},
            created=job.created_at,
            started=job.started_at,
            finished=events.latest(self._ledger, job.id, f"job.{JobState.FINALIZING}"),
            render_seconds=job.render_seconds,
        )

    def _shards(self, job: str) -> Iterator[DoneShard]:
        after = -1
        while page := shards.done(self._ledger, job, after, _PAGE):
            yield from page
            after = page[-1].number


class _LeadersStore:
    """A store whose objects only the leader changes."""

    def __init__(self, store: Store, confirm: Callable[[], None]) -> None:
        self._store = store
        self._confirm = confirm

    def __getattr__(self, name: str) -> Any:
        if name in _CHANGING:
            self._confirm()
        return getattr(self._store, name)


def _missing(manifest: Manifest) -> str | None:
    """Which samples the dataset is without because they could not be rendered."""
    failed = manifest.failed()
    if not failed:
        return None
    named = ", ".join(sample.key for sample in failed[:_NAMED])
    more = ", ..." if len(failed) > _NAMED else ""
    return f"could not be rendered, so quarantined ({len(failed):,}): {named}{more}"
