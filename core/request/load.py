"""From a file's text to a checked request, and back to the canonical text that the ledger keeps."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.errors import Fault, RequestError
from core.request import document, images
from core.request.names import NAME, nearest
from core.request.quality import Drift, Quality
from core.request.remainder import Remainder
from core.request.spec import (
    COLOUR,
    Asked,
    Budget,
    ContextSpec,
    Outputs,
    Parent,
    Pixels,
    Product,
    Request,
    Sampling,
)
from core.request.surplus import Surplus, counted

_MOST_FAULTS = 20
_ROUNDS = 3
"""A fault may hide another in the same place, and that a third."""

_PROBLEMS = {
    "finite_number": "it must be a finite number",
    "bool_parsing": "it must be true or false",
    "bool_type": "it must be true or false",
    "float_type": "it must be a number",
    "greater_than": "it must be above {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "int_from_float": "it must be a whole number",
    "int_type": "it must be a whole number",
    "less_than": "it must be below {lt}",
    "less_than_equal": "it must be at most {le}",
    "literal_error": "it must be {expected}",
    "model_type": "it must be a mapping of keys to values",
    "dict_type": "it must be a mapping of keys to values",
    "string_pattern_mismatch": "it must match {pattern}",
    "string_too_long": "it must have at most {max_length} characters",
    "string_too_short": "it is empty",
    "string_type": "it must be text",
    "string_unicode": "it has half of a character: a surrogate without its other",
    "too_long": "it must have at most {max_length} items",
    "too_short": "it is empty",
    "tuple_type": "it must be a list",
}
_REMEDIES = {"sums_to_zero": "Change one of them.", "too_short": "Give at least one."}
_SPELLINGS = {
    NAME: "Begin with a letter or digit, go on with these, spaces and . _ -",
    COLOUR: "Write it as #7f3fbf.",
}


class MalformedError(RequestError):
    """Values that are no request; `rest` is one without what is wrong, if that leaves one."""

    def __init__(self, faults: Sequence[Fault], rest: Request | None, remainder: Remainder) -> None:
        super().__init__(bounded(faults))
        self.rest = rest
        self._remainder = remainder

    def joined(self, others: Sequence[Fault]) -> RequestError:
        """The same with the faults of the rest, by their places in the file."""
        placed = (self._remainder.in_the_file(fault) for fault in others)
        return RequestError(bounded([*self.faults, *placed]))


def bounded(faults: Sequence[Fault]) -> list[Fault]:
    """As many faults as people read, and how many more are known. They may be bounded already."""
    told = [fault for fault in faults if not isinstance(fault, Surplus)]
    more = counted(faults) - _MOST_FAULTS
    last = [Surplus("request", "", f"and at least {more} more", count=more)] if more > 0 else []
    return [*told[:_MOST_FAULTS], *last]


def load(path: Path) -> Request:
    """Read and check a request file and its pictures. Raises RequestError with every fault."""
    text = document.read(path)
    values = document.parse(text)
    return check(images.inline(values, path.parent) if images.mentioned(text) else values)


def parse(text: str) -> Request:
    """Check a request's text, YAML or JSON. Raises RequestError with every fault."""
    return check(document.parse(text))


def check(values: dict[str, Any]) -> Request:
    """Check plain values. Raises MalformedError with every fault by field, value and remedy."""
    try:
        return Request.model_validate(values)
    except ValidationError as error:
        first = error
    remainder, faults, rest = Remainder(values), list[Fault](), None
    for _ in range(_ROUNDS):
        found = [detail for detail in first.errors(include_url=False) if not _echo(detail)]
        shown = [detail for detail in found if not remainder.hides(detail["loc"])]
        faults += [remainder.in_the_file(_fault(detail)) for detail in shown]
        remainder.take_out([detail["loc"] for detail in found])
        try:
            rest = Request.model_validate(remainder.values)
            break
        except ValidationError as error:
            first = error
    raise MalformedError(faults, rest, remainder)


def canonical(request: Request) -> str:
    """The request as JSON with sorted keys: equal requests have equal text."""
    values = request.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _echo(detail: ErrorDetails) -> bool:
    """Whether this only repeats that an item of the list was refused."""
    return detail["type"] == "too_short" and bool(detail["input"])


def _fault(detail: ErrorDetails) -> Fault:
    kind, where = detail["type"], detail["loc"]
    field = _path(where) or "request"
    if kind == "extra_forbidden":
        return Fault(field, "", "there is no such key", nearest(str(where[-1]), _keys(where)))
    if kind == "missing":
        return Fault(field, "", "it is missing", "`spritemill init` shows a whole request.")
    problem = detail["msg"].removeprefix("Value error, ")
    if kind in _PROBLEMS:
        problem = _PROBLEMS[kind].format(**detail.get("ctx", {}))
    spelling = _SPELLINGS.get(detail.get("ctx", {}).get("pattern", ""), "")
    return Fault(field, _shown(detail["input"]), problem, _REMEDIES.get(kind, spelling))


def _path(where: tuple[int | str, ...]) -> str:
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in _named(where)]
    return "".join(parts).lstrip(".")


def _named(where: tuple[int | str, ...]) -> list[int | str]:
    """The steps that stand in the file; those with # tell kinds of a value apart."""
    return [step for step in where if isinstance(step, int) or not step.startswith("#")]


def _keys(where: tuple[int | str, ...]) -> list[str]:
    """The keys that are taken where this one stands."""
    part: type[BaseModel] = Request
    names = [step for step in _named(where[:-1]) if isinstance(step, str)]
    inside: dict[str, type[BaseModel]] = {
        "contexts": ContextSpec,
        "product": Product,
        "negative": Asked,
        "sampling": Sampling,
        "pixels": Pixels,
        "outputs": Outputs,
        "quality": Quality,
        "drift": Drift,
        "budget": Budget,
        "parent": Parent,
    }
    if names:
        part = inside.get(names[-1], Request)
    return sorted(field.alias or name for name, field in part.model_fields.items())


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
