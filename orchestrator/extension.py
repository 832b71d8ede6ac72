"""Requests with a parent: which dataset that is, and what they ask for in whole."""

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from core import storage
from core.dataset.comparison import request_of
from core.dataset.manifest import Manifest
from core.dataset.source import OnProgress, StoreSource, read_manifest
from core.dataset.upload import upload
from core.errors import Fault, NotFoundError, RequestError
from core.request import extension
from core.request.load import canonical, parse
from core.request.plan import RENDERER_VERSION, plan
from core.request.spec import Parent, Request
from orchestrator import admission, models

if TYPE_CHECKING:
    from core.ledger import Ledger
    from core.ledger.jobs import Job
    from core.settings import Settings
    from core.storage import Store
    from orchestrator.service import Service

    AnyLedger = Callable[[], Ledger | None]

_DIGEST = re.compile(r"[0-9a-f]{64}")


def text(
    service: "Service",
    dataset: str,
    wanted: str | None,
    samples: int | None,
    on_progress: OnProgress | None = None,
) -> str:
    """The request that extends a dataset: by what another's text asks, or to so many samples of
    each of its contexts. A dataset from elsewhere is copied to the store. Raises RequestError.
    """
    source = service.datasets.open(dataset)
    manifest, had = read_manifest(source), parse(request_of(source))
    asked = extension.more(had, samples) if samples else parse(wanted or "")
    _refuse_another(asked, manifest, service)
    extended = _extended(asked, had, manifest, service.ledger_if_any)
    admission.checked(extended, manifest.model, service.settings)
    upload(source, service.store, on_progress)
    return canonical(extended)


def whole(request: Request, settings: "Settings", ledger: "AnyLedger") -> Request:
    """A request with its parent's part in it; as it is, when it has none. Raises RequestError."""
    if request.parent is None:
        return request
    store = storage.connect(settings)
    if isinstance(request.parent, Parent):
        return _checked(request, request.parent, store)
    manifest, had = _dataset(store, _job(request.parent, settings, ledger()))
    return _extended(request, had, manifest, ledger)


def _extended(asked: Request, had: Request, manifest: Manifest, ledger: "AnyLedger") -> Request:
    wanted = extension.inherited(had, asked)
    if models.named(wanted.model, ledger).weights != manifest.weights:  # the name has newer ones
        wanted = wanted.model_copy(update={"model": manifest.weights})
        models.named(wanted.model, ledger)
    if manifest.renderer_version != RENDERER_VERSION:
        raise _refused(
            manifest.job,
            f"renderer {manifest.renderer_version} made it, and this is {RENDERER_VERSION}",
        )
    plan(wanted.model_copy(update={"parent": None}), manifest.model, sys.maxsize)  # its own faults
    return extension.extended(had, _parent(had, manifest), wanted)


def _refuse_another(asked: Request, manifest: Manifest, service: "Service") -> None:
    """Raises RequestError when a request has a parent other than the dataset to extend."""
    named = asked.parent.digest if isinstance(asked.parent, Parent) else asked.parent
    if named in (None, manifest.dataset_digest, manifest.job):
        return
    if _job(named, service.settings, service.ledger_if_any()) != manifest.job:
        problem = f"the dataset to extend is {manifest.job}"
        raise RequestError([Fault("parent", named, problem, "Leave it out.")])


def _checked(request: Request, parent: Parent, store: "Store") -> Request:
    """A request that has its parent's part already."""
    manifest, had = _dataset(store, parent.job)
    if _parent(had, manifest) != parent or not extension.begins_with(request, had):
        raise _refused(parent.job, "the request is not one that extends its dataset")
    return request


def _parent(had: Request, manifest: Manifest) -> Parent:
    return Parent(
        job=manifest.job,
        digest=manifest.dataset_digest,
        samples=plan(had, manifest.model, sys.maxsize).total,
        shards=len(manifest.shards),
    )


def _dataset(store: "Store", job: str) -> tuple[Manifest, Request]:
    source = StoreSource(store, job)
    try:
        return read_manifest(source), parse(request_of(source))
    except NotFoundError:
        raise _refused(job, "its dataset is not in this mill's store") from None


def _job(name: str, settings: "Settings", ledger: "Ledger | None") -> str:
    """The job that is named by its id, by the digest of its dataset, or as the owner's latest."""
    from core.ledger import jobs

    if ledger is None:
        raise _refused(name, "there are no jobs yet")
    owner = settings.owner if name == "latest" else None
    try:
        found: Job = (
            jobs.of_dataset(ledger, name)
            if _DIGEST.fullmatch(name)
            else jobs.resolve(ledger, name, owner)
        )
    except NotFoundError as error:
        raise _refused(name, error.message.rstrip(".")) from None
    if found.dataset_digest is None:
        raise _refused(name, f"the job is {found.state}: it has no dataset")
    return found.id


def _refused(name: str, problem: str) -> RequestError:
    remedy = "`spritemill list --state succeeded` shows what can be extended."
    return RequestError([Fault("parent", name, problem, remedy)])
