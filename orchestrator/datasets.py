"""Finished datasets: where they lie, and getting at them."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ConflictError, UsageError
from core.ledger.states import JobState
from core.settings import Settings

if TYPE_CHECKING:
    from core.dataset.source import Dataset
    from core.ledger.jobs import Job
    from core.storage import Store


def place(job: "Job", settings: Settings) -> str:
    """The folder or the s3:// address of a finished job's dataset, else nothing."""
    if job.state != JobState.SUCCEEDED:
        return ""
    if settings.store.startswith("s3://"):
        return f"{settings.store.rstrip('/')}/datasets/{job.id}"
    return str(Path(settings.store) / "datasets" / job.id)


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


def remove(job: "Job", store: "Store") -> None:
    """Remove all objects of a job, the manifest first: what is left then counts as unfinished."""
    from core.dataset.layout import MANIFEST, dataset_prefix, work_prefix

    store.delete(dataset_prefix(job.id) + MANIFEST)
    for prefix in (dataset_prefix(job.id), work_prefix(job.id)):
        for info in list(store.list(prefix)):
            store.delete(info.key)
