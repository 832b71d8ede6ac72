"""Who a worker is: its id in the ledger, its process, and the class of its arithmetic."""

import os
import secrets
import socket
from dataclasses import dataclass, field
from typing import Any

from core import processes
from core.ledger.workers import NewWorker
from workers import numerics


@dataclass(frozen=True, slots=True)
class Identity:
    """Made before the children are forked, so that they share it."""

    worker: str
    facts: dict[str, Any]
    memory: int
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    started: float = field(default_factory=processes.started)

    @property
    def numerics(self) -> str:
        return numerics.name(self.facts)

    def row(self, slots: int) -> NewWorker:
        """What the ledger is told when the worker starts."""
        return NewWorker(
            id=self.worker,
            host=self.host,
            pid=self.pid,
            started=self.started,
            device=str(self.facts.get("device", "none")),
            numerics=self.numerics,
            numerics_facts=self.facts,
            slots=slots,
            memory=self.memory,
        )


def new_id() -> str:
    return secrets.token_hex(6)
