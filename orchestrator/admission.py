"""Whether a request is taken: checked against its model and this mill's limits, nothing written."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Fault, RequestError
from core.request import deadline
from core.request.estimate import CONTAINER_BYTES
from core.request.load import MalformedError, canonical, parse
from core.request.plan import Plan, digest, plan
from core.request.spec import Request
from core.settings import Settings
from orchestrator import models
from orchestrator.disk import free_bytes
from orchestrator.models import Model

if TYPE_CHECKING:
    from core.ledger import Ledger
    from core.ledger.jobs import NewJob

_PNG_SHARE = 0.5
"""A sprite's PNG file over its raw pixels: more than any of the bundled model's takes."""


def planned(
    text: str, settings: Settings, ledger: "Callable[[], Ledger | None]"
) -> tuple[Plan, Model]:
    """The plan of a request with its model. Raises RequestError with every fault."""
    try:
        request = parse(text)
    except MalformedError as error:
        raise error.joined(_further(error.rest, settings, ledger)) from None
    return _planned(request, settings, ledger)


def _further(
    rest: Request | None, settings: Settings, ledger: "Callable[[], Ledger | None]"
) -> Sequence[Fault]:
    """What is wrong with the rest of a malformed request, as its model shows."""
    if rest is None:
        return ()
    try:
        _planned(rest, settings, ledger)
    except RequestError as error:
        return error.faults
    return ()


def _planned(
    request: Request, settings: Settings, ledger: "Callable[[], Ledger | None]"
) -> tuple[Plan, Model]:
    if request.parent is not None:
        from orchestrator import extension

        request = extension.whole(request, settings, ledger)
    model = models.named(request.model, ledger)
    return plan(request, model.spec, settings.max_samples), model


def admitted(made: Plan, model: Model, settings: Settings) -> "NewJob":
    """The job to add. Raises RequestError when its dataset would not fit on the disk."""
    from core.ledger.jobs import NewJob, new_id

    _refuse_what_does_not_fit(made, settings)
    budget = made.request.budget
    return NewJob(
        id=new_id(),
        owner=settings.owner,
        name=made.request.name,
        request=canonical(made.request),
        request_digest=digest(made, model.weights),
        model=model.spec.name,
        weights=model.weights,
        total_samples=made.new,
        shard_count=made.shard_count,
        shard_samples=made.shard_samples,
        context_count=made.context_count,
        priority=made.request.priority,
        workers=made.request.workers,
        deadline=_deadline(made.request),
        gpu_seconds=budget.gpu_seconds if budget else None,
        at_end=budget.at_end if budget else "stop",
    )


def _deadline(request: Request) -> float | None:
    """The deadline in epoch seconds. Raises RequestError when it has passed."""
    if request.deadline is None:
        return None
    found = deadline.moment(request.deadline, time.time())
    if found <= time.time():
        remedy = "Give a later one, or a span such as 12h."
        raise RequestError([Fault("deadline", request.deadline, "it has passed", remedy)])
    return found


def _refuse_what_does_not_fit(made: Plan, settings: Settings) -> None:
    if settings.store.startswith("s3://"):
        return
    picture = made.spec.size**2 * made.spec.channels * _PNG_SHARE
    needed = made.total * (picture + CONTAINER_BYTES)
    free = free_bytes(Path(settings.store))
    if needed > free:
        raise RequestError(
            [
                Fault(
                    "samples",
                    f"{made.total:,}",
                    f"they need about {needed / 1e9:,.1f} GB, but {settings.store} has "
                    f"{free / 1e9:,.1f} GB free",
                    "Ask for fewer, or set store_url to a larger store.",
                )
            ]
        )
