"""A request that extends a dataset: all that is there, and what another request asks beyond it.

The extended request lists the parent's entries as they are, so that its samples keep their numbers
and shards; then what is new: further samples of contexts that are there, and other contexts.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from core.errors import Fault, RequestError
from core.request.plan import asked_at, name_at
from core.request.spec import ContextSpec, Parent, Request

_OWN = {
    "version",
    "name",
    "parent",
    "samples",
    "contexts",
    "outputs",
    "priority",
    "workers",
    "deadline",
    "budget",
    "at_end",
}
"""What an extended dataset may have otherwise than its parent."""


def more(parent: Request, samples: int) -> Request:
    """A request for so many samples of each context of a dataset."""
    entries = [
        entry.model_copy(update={"samples": samples})
        for entry in parent.contexts
        if not entry.first
    ]
    limits = {"deadline": None, "budget": None, "at_end": None}
    return parent.model_copy(update={"contexts": tuple(entries), "parent": None, **limits})


def inherited(parent: Request, wanted: Request) -> Request:
    """`wanted` with what it leaves out as its parent, resolved, has it.

    Raises RequestError with every field that is given otherwise.
    """
    shared = [name for name in Request.model_fields if name not in _OWN]
    faults = [
        Fault(
            name,
            str(getattr(wanted, name)),
            f"its parent has {getattr(parent, name)}, and one dataset is made one way",
            "Leave it out.",
        )
        for name in shared
        if name in wanted.model_fields_set
        and not _agrees(getattr(wanted, name), getattr(parent, name))
    ]
    if faults:
        raise RequestError(faults)
    return wanted.model_copy(update={name: getattr(parent, name) for name in shared})


def extended(parent: Request, base: Parent, wanted: Request) -> Request:
    """The whole request of a dataset that extends `base`, which `parent` made.

    `wanted` says how many samples each context is to have in the end. Raises RequestError when that
    is nothing new.
    """
    ends = dict[str, int]()
    kept = [_counted(entry, parent) for entry in parent.contexts]
    for entry in kept:
        for step in range(_contexts(entry)):
            ends[name_at(entry, step)] = (entry.first or 0) + (entry.samples or 0)
    added = [
        new
        for number, entry in enumerate(wanted.contexts)
        for new in _added(_checked(entry, wanted, number), ends)
    ]
    if not added:
        raise RequestError(
            [Fault("samples", "", "the parent has all of that already", "Ask for more of them.")]
        )
    update = {"parent": base, "samples": None, "contexts": (*kept, *added)}
    return wanted.model_copy(update=update)


def begins_with(request: Request, parent: Request) -> bool:
    """Whether an extended request lists its parent's entries first."""
    kept = tuple(_counted(entry, parent) for entry in parent.contexts)
    return request.contexts[: len(kept)] == kept and len(request.contexts) > len(kept)


def _agrees(given: Any, had: Any) -> bool:
    if not isinstance(given, BaseModel):
        return bool(given == had)
    return type(given) is type(had) and all(
        _agrees(getattr(given, name), getattr(had, name)) for name in given.model_fields_set
    )


def _checked(entry: ContextSpec, wanted: Request, number: int) -> ContextSpec:
    field = f"contexts[{number}]"
    if entry.first:
        raise RequestError(
            [Fault(f"{field}.first", str(entry.first), "the parent decides that", "Leave it out.")]
        )
    counted = _counted(entry, wanted)
    if counted.samples is None:
        raise RequestError(
            [Fault(f"{field}.samples", "", "it is missing", "Give it here or for all.")]
        )
    return counted


def _added(entry: ContextSpec, ends: dict[str, int]) -> Iterator[ContextSpec]:
    """What of an entry is beyond these ends: in one entry, if its contexts end alike."""
    there = [ends.get(name_at(entry, step), 0) for step in range(_contexts(entry))]
    if len(set(there)) == 1:
        yield from _beyond(entry, there[0])
        return
    for step, end in enumerate(there):
        one = asked_at(entry, step)
        update = {"product": None, "class_name": one.class_name, "text": one.text}
        yield from _beyond(entry.model_copy(update=update), end)


def _beyond(entry: ContextSpec, end: int) -> Iterator[ContextSpec]:
    samples = (entry.samples or 0) - end
    if samples > 0:
        yield entry.model_copy(update={"samples": samples, "first": end or None})


def _counted(entry: ContextSpec, request: Request) -> ContextSpec:
    return entry.model_copy(update={"samples": entry.samples or request.samples})


def _contexts(entry: ContextSpec) -> int:
    return len(entry.product.classes) * len(entry.product.text) if entry.product else 1
