"""The truth: jobs, shards, workers, models and events in a SQL database.

What is here is imported when it is used: SQLAlchemy takes a quarter of a second, and a command that
only reads a request needs none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.ledger import bars, delays, events, jobs, priorities, shards, trials, workers
    from core.ledger.engine import Ledger, connect

__all__ = [
    "Ledger", "bars", "connect", "delays", "events", "jobs", "priorities", "shards", "trials",
    "workers",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("Ledger", "connect"):
        return getattr(import_module("core.ledger.engine"), name)
    if name in __all__:
        return import_module(f"core.ledger.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
