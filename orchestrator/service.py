"""Use cases: all that the command line, the API and the pages can ask of a mill.

What only some of them need is imported where it is needed: `status` and `list` cost no more than
SQLAlchemy's core, what concerns a request alone not even that.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any, Self

from core import home
from core import ledger as ledgers
from core.errors import ConflictError, NotFoundError, UnreachableError, UsageError
from core.ledger.states import TERMINAL, JobState
from core.settings import Settings
from orchestrator import datasets, fleet, progress
from orchestrator.datasets import Datasets
from orchestrator.lack import NO_DATABASE, lack
from orchestrator.progress import JobStatus, Speed

if TYPE_CHECKING:
    from core.ledger import Ledger
    from core.ledger.events import Event
    from core.ledger.jobs import Job
    from core.ledger.workers import Worker
    from core.request.plan import Plan
    from core.storage import Store
    from orchestrator.animation import Film
    from orchestrator.calibration import Calibrated
    from orchestrator.doctor import Health
    from orchestrator.fleet import AtWork
    from orchestrator.models import Model
    from orchestrator.scaling import Demand

_POLL_SECONDS = 0.2
_MOST_URGENT = 100


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job, and whether it is new: the same request of the same owner is made once."""

    job: "Job"
    created: bool


class Service:
    """The mill that the settings name. It opens ledger and store when they are first needed.

    A job is named by its id, a unique prefix of it, or `latest`. Methods raise NotFoundError for
    what is not there, ConflictError for what its state does not allow, UnreachableError.
    """

    def __init__(self, settings: Settings, alarm: Callable[[], None] | None = None) -> None:
        self.settings = settings
        self._alarm = alarm

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        if "ledger" in self.__dict__:
            self.ledger.close()

    @cached_property
    def ledger(self) -> "Ledger":
        if self._nothing_yet:
            raise NotFoundError(
                f"home = {self.settings.home}: there are no jobs yet.",
                remedy="`spritemill run` makes one; --home names another folder.",
            )
        return ledgers.connect(self.settings.ledger_url)

    @cached_property
    def store(self) -> "Store":
        from core import storage

        return storage.connect(self.settings)

    @cached_property
    def datasets(self) -> Datasets:
        return Datasets(self)

    def check(self, text: str) -> "Plan":
        """The plan of a request. Raises RequestError with every fault; writes nothing."""
        from orchestrator import admission

        return admission.planned(text, self.settings, self.ledger_if_any)[0]

    def estimate(self, text: str, workers: int | None = None) -> "Calibrated":
        """What a request will take of so many workers, else of those that there are, but of no more
        than may work at it, by rendering a tile or two. Raises RequestError."""
        from orchestrator import admission, calibration

        made, model = admission.planned(text, self.settings, self.ledger_if_any)
        ledger = self.ledger_if_any()
        live = ledgers.workers.live(ledger, fleet.silent_after(self.settings)) if ledger else []
        count = workers or len(live) or max(1, self.settings.workers)
        count = min(count, made.request.workers or count)
        return calibration.calibrate(made, model.weights, self.settings, count)

    def animate(self, text: str, film: "Film") -> bytes:
        """The file that shows sprites of a request come out of the noise. Raises RequestError."""
        from orchestrator import admission, animation

        made, model = admission.planned(text, self.settings, self.ledger_if_any)
        return animation.animate(made, model.weights, self.settings, film)

    def submit(self, text: str, *, again: bool = False) -> Submitted:
        """Take a request, or find that its job is there. Raises RequestError."""
        from orchestrator import admission

        made, model = admission.planned(text, self.settings, self.ledger_if_any)
        new = admission.admitted(made, model, self.settings)
        if self._nothing_yet:
            self.upgrade()
        return Submitted(*ledgers.jobs.add(self.ledger, new, again=again))

    def status(self, name: str) -> JobStatus:
        return self._status(self.job(name))

    def wait(
        self,
        name: str,
        on_update: Callable[[JobStatus], None] | None = None,
        stop: Flag | None = None,
    ) -> JobStatus:
        """Wait until a job is over, however it ends, or until `stop` is set.

        A ledger that goes away meanwhile is waited for, and named by `waits_for`. Raises
        SpritemillError when the mill can make nothing any more.
        """
        stop = stop or Flag()
        found, speed = self.status(name), Speed()
        while True:
            try:
                found = self._status(ledgers.jobs.get(self.ledger, found.job.id))
                found = found.at(speed.tell(time.monotonic(), found.samples_drawn) or found.rate)
            except UnreachableError:
                found = replace(found, rate=None, eta=None, eta_range=None, waits_for=NO_DATABASE)
            if on_update:
                on_update(found)
            if self._alarm:
                self._alarm()
            if found.job.state in TERMINAL or stop.wait(_POLL_SECONDS):
                return found

    def cancel(self, name: str) -> "Job":
        return self._move(name, JobState.CANCELLED)

    def pause(self, name: str) -> "Job":
        """Stop a job within a tile, also one whose limit lets shards under way be done."""
        from core.ledger import limits

        job = self._move(name, JobState.PAUSED)
        if not limits.drains(job):
            return job
        limits.stop(self.ledger, job.id)
        return ledgers.jobs.get(self.ledger, job.id)

    def resume(self, name: str) -> "Job":
        """Go on with a paused job, without the limit for which it is paused, if it is for one.

        One that never ran is planned again: its first claim makes it run.
        """
        from core.ledger import limits

        job = self.job(name)
        limits.lift(self.ledger, job)
        to = JobState.PLANNED if job.started_at is None else JobState.RUNNING
        return self._move(job.id, to, only_from=JobState.PAUSED)

    def retry(self, name: str) -> "Job":
        """Render again just what a succeeded job could not; it gets a new manifest then.

        Of a job under way: let workers try again that had too little memory.
        """
        job = self.job(name)
        if job.state == JobState.SUCCEEDED and ledgers.trials.lost(self.ledger, job.id):
            self._refuse_parent(job)
            datasets.refuse_unrenderable(job, self.ledger)
            datasets.reopen(job, self.ledger, self.store)
        ledgers.trials.retry(self.ledger, job.id)
        return ledgers.jobs.get(self.ledger, job.id)

    def remove(self, name: str) -> "Job":
        """Remove a job that is over, with its dataset."""
        job = self.job(name)
        if job.state not in TERMINAL:
            raise ConflictError(
                f"job {job.id} is {job.state}.", remedy=f"First: spritemill cancel {job.id}"
            )
        self._refuse_parent(job)
        ledgers.jobs.condemn(self.ledger, job.id)
        datasets.remove(job, self.store)
        ledgers.jobs.remove(self.ledger, job.id)
        return job

    def events(self, name: str, after: int = 0, limit: int = 1000) -> "Sequence[Event]":
        return ledgers.events.of(self.ledger, self.job(name).id, after, limit)

    def logs(self, name: str) -> Iterator[str]:
        """Lines of this machine's logs that name the job, oldest first."""
        from orchestrator import logs

        return logs.about(self.job(name).id, self.settings.logs)

    def prioritise(self, name: str, priority: int) -> "Job":
        """Change a job's priority, which orders its owner's jobs. Raises UsageError."""
        if abs(priority) > _MOST_URGENT:
            raise UsageError(f"priority = {priority}: it must be from -100 to 100.")
        job = self.job(name)
        if not ledgers.priorities.change(self.ledger, job.id, priority):
            raise ConflictError(f"job {job.id} is {job.state}: it has no priority any more.")
        return ledgers.jobs.get(self.ledger, job.id)

    def workers(self) -> "Sequence[Worker]":
        return [] if self._nothing_yet else ledgers.workers.list(self.ledger)

    def roster(self) -> "Sequence[AtWork]":
        """The workers, with what each renders now."""
        there = self.workers()
        return fleet.roster(there, ledgers.shards.in_hand(self.ledger)) if there else ()

    def demands(self, least: int, most: int) -> "Sequence[Demand]":
        """What each numerics class has to do, and the workers that it is worth, within bounds."""
        from orchestrator import scaling

        goal = scaling.goal(self.settings, least, most)
        return scaling.measured(self.ledger_if_any(), fleet.silent_after(self.settings), goal)

    @property
    def has_broker(self) -> bool:
        """Whether workers that are started now would find a broker."""
        return bool(self._broker_url())

    def start_workers(self, count: int, gpus: Sequence[int] = ()) -> Sequence[dict[str, Any]]:
        """Start workers that outlive this call; each with its `id`, `pid` and `log`.

        Raises UnreachableError when broker or ledger are away.
        """
        from orchestrator import broker

        broker_url = self._broker_url()
        if not broker_url:
            raise ConflictError(
                f"home = {self.settings.home}: no mill is up, so workers would have no broker.",
                remedy="First `spritemill up`, or set SPRITEMILL_BROKER_URL.",
            )
        broker.check(broker_url)
        ledgers.jobs.list(self.ledger, limit=1)  # workers end where there is none
        return fleet.start(replace(self.settings, broker_url=broker_url), count, gpus)

    def order_workers(self, ids: Sequence[str] | None, order: str) -> "Sequence[Worker]":
        """Order workers, or all of them, to `drain` or to `stop`; those that will hear it.

        A worker may be named by a unique prefix of its id.
        """
        there = [
            worker for worker in self.workers() if worker.state != ledgers.workers.WorkerState.GONE
        ]
        named = there if ids is None else fleet.named(there, ids)
        if named:
            ledgers.workers.order(
                self.ledger, [worker.id for worker in named], ledgers.workers.Order(order)
            )
        return named

    def models(self) -> "Sequence[Model]":
        """The models that requests may name, the bundled one first."""
        from orchestrator import models

        return models.listed(self.ledger_if_any())

    def model(self, name: str) -> "Model":
        """A model by its name or hash. Raises NotFoundError."""
        from orchestrator import models

        return models.known(name, self.ledger_if_any())

    def add_model(self, path: Path, name: str = "") -> "Model":
        """Register a model's file, under another `name` if one is given. Raises ModelError."""
        from orchestrator import models

        if self._nothing_yet:
            models.check(path, name)  # before anything is written
            self.upgrade()
        return models.add(path, name, self.ledger, self.store)

    def remove_model(self, name: str) -> "Model":
        """Forget a registered model, by its name or hash; jobs that are not over keep it."""
        from orchestrator import models

        return models.remove(name, self.ledger_if_any(), self.store)

    def doctor(self) -> "Iterator[Health]":
        """Examine part by part, telling each as soon as it is known."""
        from orchestrator import doctor

        return doctor.examine(self.settings, self.ledger_if_any, self._broker_url)

    def upgrade(self) -> str:
        """Bring the ledger's schema to this version's; its revision."""
        from core.ledger.schema import HEAD
        from core.ledger.upgrade import upgrade

        if not self.settings.database_url:
            home.make(self.settings.home)
        upgrade(self.settings.ledger_url)
        return HEAD

    def backup(self, path: Path) -> None:
        """Copy a SQLite ledger to a new file. Raises ConflictError when that is there."""
        from core.ledger.backup import backup

        backup(self.ledger, path)

    def list(
        self,
        *,
        states: Sequence[str] | None = None,
        everyone: bool = False,
        limit: int = 50,
    ) -> "Sequence[Job]":
        """Jobs of this owner, or of everyone, the newest first."""
        if self._nothing_yet:
            return ()
        owner = None if everyone else self.settings.owner
        return ledgers.jobs.list(self.ledger, owner=owner, states=_known(states), limit=limit)

    @property
    def _nothing_yet(self) -> bool:
        """Whether the embedded mill's ledger is still to be made."""
        return not self.settings.database_url and not (self.settings.home / "ledger.db").exists()

    def ledger_if_any(self) -> "Ledger | None":
        """The ledger, or None while the embedded mill's is still to be made."""
        return None if self._nothing_yet else self.ledger

    def _broker_url(self) -> str:
        """The broker's address; empty while an embedded mill is not up."""
        from orchestrator import mill_file

        running = mill_file.find(self.settings.home) if self.settings.embedded else None
        return running.broker_url if running else self.settings.broker_url

    def job(self, name: str) -> "Job":
        """A job by its id, a unique prefix of it, or `latest`."""
        owner = self.settings.owner if name == "latest" else None
        return ledgers.jobs.resolve(self.ledger, name, owner)

    def _status(self, job: "Job") -> JobStatus:
        flying = ledgers.shards.progress(self.ledger, job.id)
        live = ledgers.workers.live(self.ledger, fleet.silent_after(self.settings))
        lacks = lack(self.ledger, self.settings, job, live, flying.leased)
        return progress.status(job, flying, len(live), datasets.place(job, self.settings), lacks)

    def _move(self, name: str, to: JobState, only_from: JobState | None = None) -> "Job":
        job = self.job(name)
        if job.state == to:
            return job
        allowed = only_from in (None, job.state)
        if not (allowed and ledgers.jobs.move(self.ledger, job.id, to)):
            over = "`spritemill submit REQUEST --again` makes it anew."
            raise ConflictError(
                f"job {job.id} is {job.state}: it cannot become {to}.",
                remedy=over if job.state in TERMINAL else "",
            )
        return ledgers.jobs.get(self.ledger, job.id)

    def _refuse_parent(self, job: "Job") -> None:
        """Raises ConflictError while a job is to take over this one's dataset."""
        digest = job.dataset_digest
        if digest and (other := ledgers.jobs.extending(self.ledger, digest)):
            raise ConflictError(
                f"job {job.id}: {other.id}, which is {other.state}, extends its dataset.",
                remedy=f"Wait for it, or first: spritemill cancel {other.id}",
            )


def _known(states: Sequence[str] | None) -> Sequence[JobState] | None:
    for state in states or ():
        if state not in list(JobState):
            told = f"state = {state}: there is none by that name."
            raise UsageError(told, remedy=f"One of {', '.join(JobState)}.")
    return None if states is None else [JobState(state) for state in states]
