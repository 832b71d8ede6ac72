"""What sprites are called in an export: a pattern such as `{class}-{index:04}`."""

import re
from collections.abc import Callable, Iterable
from hashlib import blake2b
from string import Formatter

import numpy as np

from core.dataset.record import Record
from core.errors import Fault, RequestError
from core.request.names import nearest

KEY = "{key}"
LONGEST = 95  # of ASCII, so that `<name>.json` fits the header of a tar file
_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST}}}")
_PLAIN = re.compile(r"[A-Za-z0-9_-]*")
_WIDTH = re.compile(r"(0[1-9][0-9]?d?)?")
_OTHER = re.compile(r"[^a-z0-9]+")
_FIELDS: dict[str, Callable[[Record], str | int]] = {
    "key": lambda record: record.key,
    "number": lambda record: record.number,
    "context": lambda record: _slug(record.context_label) or record.context_id,
    "context_id": lambda record: record.context_id,
    "class": lambda record: class_slug(record),
    "caption": lambda record: _slug(record.caption) or record.context_id,
    "index": lambda record: record.index,
    "seed": lambda record: record.seed,
    "sha256": lambda record: record.sha256,
}
_NUMBERS = ("number", "index")
_UNIQUE = ({"key"}, {"number"}, {"context_id", "index"})


class Pattern:
    """Names sprites. Texts are written with a-z, 0-9 and dashes; `class` is the context if empty.

    Raises RequestError for a pattern that cannot name files.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._parts: list[tuple[str, str, str]] = []
        try:
            parts = list(Formatter().parse(text))
        except ValueError as error:
            raise self._fault(f"it cannot be read: {error}") from None
        for plain, field, form, conversion in parts:
            if not _PLAIN.fullmatch(plain):
                raise self._fault("letters, digits, - and _ may stand between the fields")
            self._parts.append((plain, field or "", form or ""))
            if field is not None:
                self._check(field, form or "", conversion or "")
        if not any(field for _, field, _ in self._parts):
            raise self._fault("it has no field, so all sprites would have one name")

    @property
    def keeps(self) -> bool:
        """Whether sprites keep their names."""
        return self._text == KEY

    def name(self, record: Record) -> str:
        """Raises RequestError when it comes out too long."""
        name = "".join(
            plain + (format(_FIELDS[field](record), form) if field else "")
            for plain, field, form in self._parts
        )
        if not _NAME.fullmatch(name):
            raise self._fault(f"{name[:100]!r} has {len(name)} characters, not 1 to {LONGEST}")
        return name

    def refuse_bad_names(self, records: Iterable[Record]) -> None:
        """Raises RequestError when two of the sprites would have one name, or one has too long a
        name.
        """
        if self.keeps:
            return
        fields = {field for _, field, _ in self._parts}
        differ = any(unique <= fields for unique in _UNIQUE)
        digests = bytearray()
        for record in records:
            name = self.name(record)
            if not differ:  # letter cases too: file systems exist that do not tell them apart
                digests += blake2b(name.lower().encode(), digest_size=16).digest()
        names = np.frombuffer(bytes(digests), dtype="V16")
        if len(np.unique(names)) < len(names):
            remedy = "Add {index} and {context_id}, {number} or {key}."
            raise self._fault("two sprites would have one name", remedy)

    def _check(self, field: str, form: str, conversion: str) -> None:
        if field not in _FIELDS:
            raise self._fault(f"there is no field {field!r}", nearest(field, list(_FIELDS)))
        allowed = _WIDTH if field in _NUMBERS else re.compile("")
        if conversion or not allowed.fullmatch(form):
            raise self._fault(f"{{{field}:{form}}} is not allowed", "Such as: {index:04}.")

    def _fault(self, problem: str, remedy: str = "") -> RequestError:
        return RequestError([Fault("name", self._text, problem, remedy)])


def class_slug(record: Record) -> str:
    """The class as part of a file's name; of a sprite without one, the context."""
    return _slug(record.class_name) or _slug(record.context_label) or record.context_id


def _slug(text: str) -> str:
    return _OTHER.sub("-", text.lower()).strip("-")[:60].strip("-")
