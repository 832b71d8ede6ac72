"""Rendering sprites of a finished dataset again: the contract, and why they may come out otherwise.

This library knows no torch: whoever calls it hands in how sprites are rendered.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.dataset.manifest import Manifest


class Rendering(Protocol):
    """Sprites of one request and one model, rendered here. Methods raise SpritemillError."""

    @property
    def numerics(self) -> Mapping[str, Any]:
        """The numerics class of this machine."""

    def sprites(self, wanted: Sequence[tuple[int, str]]) -> NDArray[np.uint8]:
        """Pixels [N, S, S, 4] of samples, each by its number and its record's seed."""

    def shard(self, first: int, count: int) -> bytes:
        """The tar file of samples `first` to `first + count - 1`, as a worker packs it."""


Renders = Callable[[str, Manifest], AbstractContextManager[Rendering]]
"""Starts rendering, for the text of a request and the manifest of its dataset."""


def differences(then: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The parts of two numerics classes that differ, by name."""
    names = sorted(then.keys() | here.keys())
    return {
        name: (then.get(name), here.get(name)) for name in names if then.get(name) != here.get(name)
    }


def told(parts: Mapping[str, tuple[Any, Any]]) -> str:
    """Differences as a part of a sentence."""
    return ", ".join(
        f"{name} was {_value(then)}, here {_value(here)}" for name, (then, here) in parts.items()
    )


def _value(part: Any) -> str:
    return "none" if part is None else str(part)
