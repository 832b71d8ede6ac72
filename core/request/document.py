"""Text to plain values: YAML or JSON, bounded, without aliases, tags or repeated keys."""

import json
import math
import re
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from core.errors import Fault, RequestError

MAX_BYTES = 32 * 2**20
MAX_DEPTH = 16
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]{1,30}(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")


def read(path: Path) -> str:
    """The text of a request file. Raises RequestError when it is no readable text."""
    try:
        with path.open("rb") as file:  # a pipe or a device may have no end
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _refused(
            str(path), "there is no such file", "`spritemill init` writes a first one."
        ) from None
    except IsADirectoryError:
        raise _refused(str(path), "it is a folder", "Name the request file inside it.") from None
    except OSError as error:
        raise _refused(str(path), f"it cannot be read: {error.strerror}") from error
    return decode(raw, str(path))


def decode(raw: bytes, name: str = "request") -> str:
    """UTF-8 text of raw bytes. Raises RequestError for binary, other encodings or too many."""
    if len(raw) > MAX_BYTES:
        raise _refused(name, f"more than {MAX_BYTES:,} bytes are too many")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(name, f"byte {error.start} is not UTF-8 text", "Save it as UTF-8.") from None
    if "\0" in text:
        raise _refused(name, "it is binary, not text", "A request is a YAML or JSON file.")
    return text


def parse(text: str) -> dict[str, Any]:
    """The request as plain values. Raises RequestError, with the line where it can."""
    if len(text) > MAX_BYTES:
        raise _refused(
            "request", f"{len(text):,} characters are too many", f"At most {MAX_BYTES:,}."
        )
    if not text.strip():
        raise _refused("request", "it is empty", "`spritemill init` writes a first one.")
    value = _json(text) if text.lstrip().startswith("{") else _yaml(text)
    if not isinstance(value, dict):
        raise _refused(
            "request", "it must be a mapping of keys to values", "See `spritemill init`."
        )
    return value


def _json(text: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(items)
        if len(seen) < len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            raise _refused(twice, "the key is given twice", "Keep one of them.")
        return seen

    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise _refused(f"line {error.lineno}", f"not JSON: {error.msg}") from None
    except ValueError:
        raise _refused("request", "a number in it has too many digits") from None
    except RecursionError:
        raise _refused("request", "it is nested too deeply") from None
    if _deeper(value, MAX_DEPTH):
        raise _refused("request", "it is nested too deeply")
    return value


def _deeper(value: Any, most: int) -> bool:
    """Whether a value has more than so many collections within each other."""
    level = [value]
    for _ in range(most + 1):
        level = [each for each in level if isinstance(each, (dict, list))]
        if not level:
            return False
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = list(chain.from_iterable(inner))
    return True


def _yaml(text: str) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}" if mark else "request"
        if "nesting depth" in str(error.problem):  # the parser's own limit, since PyYAML 6.0.4
            raise _refused(where, "it is nested too deeply") from None
        raise _refused(where, f"not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise _refused("request", f"not YAML: {error}") from None
    return builder.root


class _Builder:
    """Plain values from YAML's events, without recursion: a bomb goes off outside."""

    def __init__(self) -> None:
        self.root: Any = None
        self._open: list[Any] = []
        self._keys: list[str | None] = []

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.AliasEvent):
            raise _refused(_line(event), "aliases are not taken", "Write the value out.")
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise _refused(_line(event), "a second document begins", "One request, one file.")

    def _start(self, event: Any) -> None:
        if event.tag not in (None, "!"):
            raise _refused(_line(event), f"the tag {event.tag} is not taken", "Use plain values.")
        if len(self._open) >= MAX_DEPTH:
            raise _refused(_line(event), "it is nested too deeply")
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._add(value, event)
        self._open.append(value)
        self._keys.append(None)

    def _scalar(self, event: Any) -> None:
        if event.tag not in (None, "!"):
            raise _refused(_line(event), f"the tag {event.tag} is not taken", "Use plain values.")
        parent = self._open[-1] if self._open else None
        if isinstance(parent, dict) and self._keys[-1] is None:
            if event.value in parent:
                raise _refused(
                    event.value, f"the key is given twice, again in {_line(event)}", "Keep one."
                )
            self._keys[-1] = event.value
        else:
            self._add(_plain(event.value) if event.implicit[0] else event.value, event)

    def _add(self, value: Any, event: Any) -> None:
        if not self._open:
            self.root = value
        elif isinstance(self._open[-1], list):
            self._open[-1].append(value)
        elif self._keys[-1] is None:
            raise _refused(_line(event), "a key must be a word")
        else:
            self._open[-1][self._keys[-1]] = value
            self._keys[-1] = None


def _plain(text: str) -> Any:
    """An unquoted scalar by YAML 1.2's core schema, in which `no` is a word and 010 is ten."""
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _line(event: Any) -> str:
    return f"line {event.start_mark.line + 1}"


def _refused(field: str, problem: str, remedy: str = "") -> RequestError:
    return RequestError([Fault(field, "", problem, remedy)])
