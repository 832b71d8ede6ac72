"""Trying again what a server did not do: in place, a few times, each time after a longer wait."""

import random
from collections.abc import Callable
from typing import TypeVar

import structlog

from core.errors import SpritemillError

_TRIES = 6
_FIRST_WAIT = 0.5

log = structlog.get_logger(__name__)
T = TypeVar("T")


def patiently(
    action: Callable[[], T],
    wait: Callable[[float], None],
    tell: Callable[[SpritemillError], None] | None = None,
) -> T:
    """Do it; on errors that trying again may mend, `wait` (about 16 s in all) and do it again.

    `tell` hears of the second error: the first may be over in a moment.
    """
    for attempt in range(_TRIES - 1):
        try:
            return action()
        except SpritemillError as error:
            if not error.retryable:
                raise
            log.warning("server.failed", error=error.message, attempt=attempt + 1)
            if tell and attempt == 1:
                tell(error)
        wait(backoff(attempt, _FIRST_WAIT))
    return action()


def backoff(attempt: int, first: float = 1.0, longest: float = 300.0) -> float:
    """Seconds to wait after so many failures before: doubling, and spread out by chance."""
    spread = random.uniform(0.75, 1.25)  # noqa: S311  # no secret
    return min(longest, first * 2.0 ** min(attempt, 30)) * spread
