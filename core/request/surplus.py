"""Faults that are too many to tell."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import Fault


@dataclass(frozen=True, slots=True)
class Surplus(Fault):
    """Stands for `count` faults that are not told."""

    count: int = 0


def counted(faults: Iterable[Fault]) -> int:
    """How many faults these are, with those that are not told."""
    return sum(fault.count if isinstance(fault, Surplus) else 1 for fault in faults)
