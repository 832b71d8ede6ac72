"""Whether a request is taken: checked against its model and this mill's limits, nothing written."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Fault, RequestError
from core.request import deadline, sampling
from core.request.estimate import CONTAINER_BYTES
from core.request.load import MalformedError, bounded, canonical, parse
from core.request.plan import Plan, digest, plan
from core.request.spec import LARGEST_SHARD, Request
from core.settings import Settings
from core.weights.spec import ModelSpec
from orchestrator import models
from orchestrator.disk import free_bytes
from orchestrator.models import Model

if TYPE_CHECKING:
    from core.ledger import Ledger
    from core.ledger.jobs import NewJob

_PNG_SHARE = 0.5
"""A sprite's PNG file over its raw pixels: more than any of the bundled model's takes."""
MOST_SHARDS = 1_000_000
"""Of a dataset: its manifest has about 165 bytes for each, and at most 256 MiB."""


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
    return checked(request, model.spec, settings), model


def checked(request: Request, spec: ModelSpec, settings: Settings) -> Plan:
    """The plan of a request that this mill would take now. Raises RequestError."""
    made = plan(request, spec, settings.max_samples)
    faults = [*sampling.idle(request, spec), *_late(request), *_too_many_shards(made)]
    faults += too_large(made, settings.store)
    if faults:
        raise RequestError(bounded(faults))
    return made


def admitted(made: Plan, model: Model, settings: Settings) -> "NewJob":
    """The job to add."""
    from core.ledger.jobs import NewJob, new_id

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
        at_end=made.request.at_end or "stop",
    )


def _deadline(request: Request) -> float | None:
    """The deadline in epoch seconds."""
    return None if request.deadline is None else deadline.moment(request.deadline, time.time())


def _late(request: Request) -> list[Fault]:
    found = _deadline(request)
    if found is None or found > time.time():
        return []
    remedy = "Give a later one, or a span such as 12h."
    return [Fault("deadline", str(request.deadline), "it has passed", remedy)]


def _too_many_shards(made: Plan) -> list[Fault]:
    shards = made.kept_shards + made.shard_count
    if shards <= MOST_SHARDS:
        return []
    room = MOST_SHARDS - made.kept_shards
    needed = -(-made.new // room) if room > 0 else LARGEST_SHARD + 1
    problem = f"{made.new:,} samples would make it {shards:,} shards, of at most {MOST_SHARDS:,}"
    remedy = f"Say {needed:,} or more." if needed <= LARGEST_SHARD else "Ask for fewer samples."
    return [Fault("outputs.shard_samples", str(made.shard_samples), problem, remedy)]


def too_large(made: Plan, place: str) -> list[Fault]:
    """A dataset that would not fit on this machine's disk, in the store or folder `place`."""
    if place.startswith("s3://"):
        return []
    picture = made.spec.size**2 * made.spec.channels * _PNG_SHARE
    needed = made.total * (picture + CONTAINER_BYTES)
    free = free_bytes(Path(place))
    if needed <= free:
        return []
    return [
        Fault(
            "samples",
            f"{made.total:,}",
            f"they need about {_size(needed)}, but {place} has {_size(free)} free",
            "Ask for fewer, or set store_url, or --out, to a larger disk.",
        )
    ]


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
