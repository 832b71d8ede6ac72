"""Finished datasets: where they lie, and getting at them."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ConflictError, NotFoundError, UsageError
from core.ledger.states import JobState
from core.settings import Settings

if TYPE_CHECKING:
    from core.dataset.export.options import Options
    from core.dataset.export.work import Exported, OnStage
    from core.dataset.partial import Partial
    from core.dataset.report import Report
    from core.dataset.source import Dataset, OnProgress
    from core.ledger import Ledger
    from core.ledger.jobs import Job
    from core.ledger.shards import Origin
    from core.storage import Store
    from orchestrator.service import Service


class Datasets:
    """The finished datasets that a mill knows, by job, and others by folder or s3:// address."""

    def __init__(self, service: "Service") -> None:
        self._service = service

    def place(self, name: str) -> str:
        """Where a finished dataset lies: a folder, or s3://bucket/prefix."""
        if at(name, self._service.settings):
            return name.rstrip("/")
        job = self._service.job(name)
        refuse_unfinished(job)
        return place(job, self._service.settings)

    def lasting(self, name: str) -> str:
        """A name that means the same when there are more jobs: `latest` is then another."""
        folder = name != "latest" or at(name, self._service.settings)
        return name if folder else self._service.job(name).id

    def download(self, name: str, out: Path, on_progress: "OnProgress | None" = None) -> Path:
        """Copy a finished dataset to a folder, going on where a copy was interrupted.

        Of a job that was cancelled, failed or is paused, the shards that it finished.
        """
        from core.dataset import download, partial
        from core.dataset.source import StoreSource

        job = self._service.job(name)
        if job.state not in (JobState.CANCELLED, JobState.FAILED, JobState.PAUSED):
            download.download(self._source(name), out, on_progress)
            return out
        store = StoreSource(self._service.store, job.id)
        partial.download(store, self._finished(job), out, on_progress)
        return out

    def _finished(self, job: "Job") -> "Partial":
        from core.dataset import partial
        from core.ledger import shards

        done = shards.done(self._service.ledger, job.id, limit=job.shard_count)
        return partial.Partial(
            job=job.id,
            name=job.name,
            state=job.state,
            request_digest=job.request_digest,
            weights=job.weights,
            shard_count=job.shard_count,
            total_samples=job.total_samples,
            shards=partial.listed(job.id, done),
        )

    def folders(self, name: str, out: Path, on_progress: "OnProgress | None" = None) -> Path:
        """Write a finished dataset as plain PNG folders by context."""
        from core.dataset.folders import write_folders

        return write_folders(self._source(name), out, on_progress)

    def preview(self, name: str) -> bytes:
        """The contact sheet of a finished dataset, a PNG file."""
        from core.dataset.layout import PREVIEW

        with self.open(name).open(PREVIEW) as opened:
            return opened.read()

    def open(self, name: str) -> "Dataset":
        """A finished dataset: a folder, s3://bucket/prefix/datasets/JOB, or a job of this mill.

        Raises NotFoundError, ConflictError for a job that has none, UsageError.
        """
        if found := at(name, self._service.settings):
            return found
        try:
            return self._source(name)
        except NotFoundError as error:
            if name == "latest":
                raise
            raise NotFoundError(
                f"dataset = {name}: there is no folder and no job of that name.",
                remedy="`spritemill list --state succeeded` names the jobs that have one.",
            ) from error

    def origin(self, job: str, shard: int) -> "Origin | None":
        """Who made a shard of a job, if this mill's ledger knows."""
        from core.ledger import shards

        ledger = self._service.ledger_if_any()
        return shards.origin(ledger, job, shard) if ledger else None

    def export(
        self, name: str, out: str, kind: str, options: "Options", on_stage: "OnStage"
    ) -> "Exported":
        """Write a finished dataset to a folder or s3://bucket/prefix in the format `kind`."""
        from core import storage
        from core.dataset.export.work import export

        if not out:
            raise UsageError("out: it is empty.", remedy="Name a folder or s3://bucket/prefix.")
        if not out.startswith("s3://") and Path(out).exists() and not Path(out).is_dir():
            raise UsageError(f"out = {out}: it is no folder.", remedy="Name a new one.")
        if _within(out, self.place(name)):
            raise UsageError(
                f"out = {out}: it is in the dataset itself, which would be damaged.",
                remedy="Name a folder outside of it.",
            )
        store = storage.connect(replace(self._service.settings, store_url=out))
        return export(self.open(name), store, out, kind, options, on_stage)

    def verify(self, name: str, on_progress: "OnProgress | None" = None) -> "Report":
        from core.dataset.verify import verify

        return verify(self.open(name), on_progress, self._readers(name))

    def _readers(self, name: str) -> int:
        """How many processes may read a dataset: a store's client is not shared."""
        remote = self._service.settings.store.startswith("s3://") and not Path(name).is_dir()
        return 1 if remote or name.startswith("s3://") else os.cpu_count() or 1

    def _source(self, name: str) -> "Dataset":
        return source(self._service.job(name), self._service.store)


def place(job: "Job", settings: Settings) -> str:
    """The folder or the s3:// address of a finished job's dataset, else nothing."""
    if job.state != JobState.SUCCEEDED:
        return ""
    if settings.store.startswith("s3://"):
        return f"{settings.store.rstrip('/')}/datasets/{job.id}"
    return str(Path(settings.store) / "datasets" / job.id)


def _within(out: str, place: str) -> bool:
    """Whether an export would be written into what lies at a place."""
    if out.startswith("s3://") or place.startswith("s3://"):
        return f"{out.rstrip('/')}/".startswith(f"{place}/")
    return Path(out).resolve().is_relative_to(Path(place).resolve())


def at(address: str, settings: Settings) -> "Dataset | None":
    """The dataset of a folder, or of s3://bucket/prefix/datasets/JOB; None for any other name.

    Raises UsageError for an s3:// address that names no dataset.
    """
    from core.dataset.source import FolderSource, StoreSource

    if not address.startswith("s3://"):
        return FolderSource(Path(address)) if Path(address).is_dir() else None
    from core import storage

    prefix, found, job = address.rstrip("/").rpartition("/datasets/")
    if not found:
        raise UsageError(
            f"dataset = {address}: it names no dataset.",
            remedy="Give s3://bucket/prefix/datasets/JOB.",
        )
    return StoreSource(storage.connect(replace(settings, store_url=prefix)), job)


def source(job: "Job", store: "Store") -> "Dataset":
    """To read a finished dataset from. Raises ConflictError while there is none."""
    from core.dataset.source import StoreSource

    refuse_unfinished(job)
    return StoreSource(store, job.id)


def refuse_unfinished(job: "Job") -> None:
    if job.state != JobState.SUCCEEDED:
        raise ConflictError(
            f"job {job.id} is {job.state}: it has no dataset.",
            remedy=f"`spritemill status {job.id}` tells how far it is.",
        )


def refuse_unrenderable(job: "Job", ledger: "Ledger") -> None:
    """Raises ConflictError when nobody could finish a job's dataset, once it is opened anew."""
    from core.ledger import workers
    from core.request.plan import RENDERER_VERSION
    from orchestrator import models
    from orchestrator.crew import current

    kept = "Its dataset stays as it is; `spritemill submit REQUEST --again` makes it anew."
    try:
        models.of_weights(job.weights, ledger)
    except NotFoundError as error:
        raise ConflictError(
            f"job {job.id}: its model {job.model} ({job.weights[:16]}) is not there any more.",
            remedy=f"First `spritemill models add` it again. {kept}",
        ) from error
    facts = workers.facts(ledger, job.numerics) if job.numerics else {}
    if not current(facts):
        raise ConflictError(
            f"job {job.id}: renderer {facts['renderer']} made it, and this is {RENDERER_VERSION}.",
            remedy=kept,
        )


def reopen(job: "Job", ledger: "Ledger", store: "Store") -> None:
    """Make a dataset count as unfinished, for its job to make it anew. Raises CorruptError when its
    manifest, which alone may know what a repair packed anew, cannot be read.
    """
    from core.dataset.layout import MANIFEST, dataset_prefix

    _follow(job, ledger, store)
    store.delete(dataset_prefix(job.id) + MANIFEST)


def _follow(job: "Job", ledger: "Ledger", store: "Store") -> None:
    """Have the rows name the shards that the manifest does: a repair gives them other names where
    zlib packs otherwise, maybe far from the ledger.
    """
    from core.dataset.layout import dataset_prefix
    from core.dataset.source import StoreSource, read_manifest
    from core.ledger import shards

    try:
        files = read_manifest(StoreSource(store, job.id)).shards
    except NotFoundError:  # an earlier retry came this far
        return
    own, after = files[len(files) - job.shard_count :], -1
    while page := shards.done(ledger, job.id, after):
        for row in page:
            file = own[row.number]
            if file.sha256 != row.sha256:
                key = dataset_prefix(job.id) + file.name
                now = replace(row, key=key, sha256=file.sha256, size=file.size)
                shards.repacked(ledger, job.id, now)
        after = page[-1].number


def remove(job: "Job", store: "Store") -> None:
    """Remove all objects of a job, the manifest first: what is left then counts as unfinished."""
    from core.dataset.layout import MANIFEST, dataset_prefix, work_prefix

    store.delete(dataset_prefix(job.id) + MANIFEST)
    for prefix in (dataset_prefix(job.id), work_prefix(job.id)):
        for info in list(store.list(prefix)):
            store.delete(info.key)
