"""What is left of a request when its faults are taken out, so that the rest is checked too."""

import copy
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import Fault

Where = tuple[int | str, ...]

_BESIDE = frozenset(("samples", "negative", "first", "image", "mask", "strength"))
"""The keys of a context that do not say what is asked for."""

_HARMLESS = {"unconditional": True, "samples": 1}


@dataclass
class Remainder:
    """A request's plain `values`, from which faults are taken out; what they hid can then be told.

    `places` are the contexts' numbers in the file, and `gutted` those that lost what they ask for:
    that they now ask for nothing is no fault of the file.
    """

    values: dict[str, Any]
    places: list[int] = field(default_factory=list)
    gutted: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.values = copy.deepcopy(self.values)
        contexts = self.values.get("contexts")
        self.places = list(range(len(contexts))) if isinstance(contexts, list) else []

    def hides(self, where: Where) -> bool:
        """Whether a fault here only follows from one that was taken out."""
        number = where[1] if len(where) > 1 and where[0] == "contexts" else None
        return isinstance(number, int) and self.places[number] in self.gutted

    def take_out(self, faults: Iterable[Where]) -> None:
        """Leave out the keys at these places; a number of samples becomes 1, for it must be said.

        A context whose fault is not at one of its keys goes whole.
        """
        lost = {number for where in faults if (number := self._take_out(where)) is not None}
        if self.places:
            contexts = self.values["contexts"]
            kept = [number for number in range(len(contexts)) if number not in lost]
            self.values["contexts"] = [contexts[number] for number in kept]
            self.places = [self.places[number] for number in kept]
        if not self.values.get("contexts"):
            self.values["contexts"] = [dict(_HARMLESS)]

    def _take_out(self, where: Where) -> int | None:
        """The number of the context that must go, if one must."""
        if not where:  # of all that is given, nothing could be read
            self.values, self.places = {}, []
            return None
        if len(where) < 2 or where[0] != "contexts" or not isinstance(where[1], int):
            _forget(self.values, str(where[0]))
            return None
        number, key = where[1], str(where[2]) if len(where) > 2 else ""
        entry = self.values["contexts"][number]
        if not isinstance(entry, dict) or key not in entry or self.hides(where):
            return number
        if key not in _BESIDE:
            self.gutted.add(self.places[number])
        _forget(entry, key)
        return None

    def in_the_file(self, fault: Fault) -> Fault:
        """A fault of the remainder with the number that its context has in the file."""
        found = re.match(r"contexts\[(\d+)\]", fault.field)
        if not found or not self.places:
            return fault
        place = self.places[int(found[1])]
        return replace(fault, field=f"contexts[{place}]{fault.field[found.end() :]}")


def _forget(values: dict[str, Any], key: str) -> None:
    if key == "samples":
        values[key] = 1
    else:
        values.pop(key, None)
