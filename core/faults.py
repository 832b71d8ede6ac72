"""Points that a shard and a job pass, where a test may make something go wrong.

No setting, variable or message arms them: only code that imports this module, which tests alone do.
"""

from collections.abc import Callable
from enum import StrEnum


class Point(StrEnum):
    """The points, in the order in which they are passed. Described in docs/chaos.md."""

    HINTED = "orchestrator.hinted"
    CLAIMING = "worker.claiming"
    CLAIMED = "worker.claimed"
    RENDERING = "worker.rendering"
    RENDERED = "worker.rendered"
    UPLOADING = "worker.uploading"
    UPLOADED = "worker.uploaded"
    COMMITTING = "worker.committing"
    COMMITTED = "worker.committed"
    FINALIZING = "orchestrator.finalizing"
    MERGED = "orchestrator.merged"
    COMPOSED = "orchestrator.composed"
    STORED = "orchestrator.stored"
    REMOVED = "orchestrator.removed"
    CLEANED = "orchestrator.cleaned"
    SUCCEEDED = "orchestrator.succeeded"


Fault = Callable[[Point, int | str], None]
"""Hears each point that is passed, and with what: a shard's number, a file's name, or a job."""

_armed: Fault | None = None


def reach(point: Point, what: int | str) -> None:
    """Pass a point: nothing happens, unless a test armed this process."""
    if _armed is not None:
        _armed(point, what)


def arm(fault: Fault) -> None:
    """Let a fault hear of every point that this process, and those it forks, pass from now on."""
    global _armed
    _armed = fault
