"""From a file's text to a checked request, and back to the canonical text that the ledger keeps."""

import difflib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.errors import Fault, RequestError
from core.request import document
from core.request.spec import Asked, ContextSpec, Outputs, Pixels, Product, Request, Sampling

_MOST_FAULTS = 20
_PROBLEMS = {
    "finite_number": "it must be a finite number",
    "float_type": "it must be a number",
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
    "too_long": "it must have at most {max_length} items",
    "too_short": "it is empty",
    "tuple_type": "it must be a list",
}


def load(path: Path) -> Request:
    """Read and check a request file. Raises RequestError with every fault."""
    return parse(document.read(path))


def parse(text: str) -> Request:
    """Check a request's text, YAML or JSON. Raises RequestError with every fault."""
    return check(document.parse(text))


def check(values: dict[str, Any]) -> Request:
    """Check plain values. Raises RequestError with every fault by field, value and remedy."""
    try:
        return Request.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        details = [detail for detail in found if not _echo(detail)]
        faults = [_fault(detail) for detail in details[:_MOST_FAULTS]]
        if len(details) > _MOST_FAULTS:
            faults.append(Fault("request", "", f"and {len(details) - _MOST_FAULTS} faults more"))
        raise RequestError(faults) from None


def canonical(request: Request) -> str:
    """The request as JSON with sorted keys: equal requests have equal text."""
    values = request.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def nearest(name: str, known: list[str]) -> str:
    """A remedy that offers the names nearest to a wrong one."""
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    shown = ", ".join(known[:24]) + (", ..." if len(known) > 24 else "")
    return f"Known are: {shown}."


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
    shown = "" if isinstance(detail["input"], dict) else _shown(detail["input"])
    return Fault(field, shown, problem)


def _path(where: tuple[int | str, ...]) -> str:
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in where]
    return "".join(parts).lstrip(".")


def _keys(where: tuple[int | str, ...]) -> list[str]:
    """The keys that are taken where this one stands."""
    part: type[BaseModel] = Request
    names = [step for step in where[:-1] if isinstance(step, str)]
    inside: dict[str, type[BaseModel]] = {
        "contexts": ContextSpec,
        "product": Product,
        "negative": Asked,
        "sampling": Sampling,
        "pixels": Pixels,
        "outputs": Outputs,
    }
    if names:
        part = inside.get(names[-1], Request)
    return sorted(field.alias or name for name, field in part.model_fields.items())


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
