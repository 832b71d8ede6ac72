"""Which of several orchestrators decides: whoever holds the lease in the ledger."""

import time
from collections.abc import Callable

from core.ledger import Ledger, leader

_ROLE = "orchestrator"
_SECONDS = 10.0
_FOLLOWER_SECONDS = 1.0


class Leadership:
    """A lease that is renewed at a third of its time, and trusted only within it."""

    def __init__(self, ledger: Ledger, holder: str) -> None:
        self._ledger = ledger
        self._holder = holder
        self._until = 0.0

    @property
    def held(self) -> bool:
        return time.monotonic() < self._until

    def step(self) -> float:
        asked = time.monotonic()
        got = leader.acquire(self._ledger, _ROLE, self._holder, _SECONDS)
        self._until = asked + _SECONDS if got else 0.0
        return _SECONDS / 3

    def guard(self, step: Callable[[], float]) -> Callable[[], float]:
        """The step of a duty that only the leader does."""
        return lambda: step() if self.held else _FOLLOWER_SECONDS

    def resign(self) -> None:
        self._until = 0.0
        leader.resign(self._ledger, _ROLE, self._holder)
