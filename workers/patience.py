"""Trying again what a server did not do: in place, each time after a longer wait."""

import random
from collections.abc import Callable
from typing import TypeVar

import structlog

from core.errors import SpritemillError

_TRIES = 6
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 10.0

log = structlog.get_logger(__name__)
T = TypeVar("T")


def patiently(
    action: Callable[[], T],
    wait: Callable[[float], None],
    tell: Callable[[SpritemillError], None] | None = None,
    tries: int | None = _TRIES,
) -> T:
    """Do it; on errors that trying again may mend, `wait` (about 16 s in all) and do it again.

    `tell` hears of the second error: the first may be over in a moment. Without a number of
    `tries` only what `wait` raises ends it.
    """
    attempt = 0
    while True:
        try:
            return action()
        except SpritemillError as error:
            if not error.retryable or attempt + 1 == tries:
                raise
            log.warning("server.failed", error=error.message, attempt=attempt + 1)
            if tell and attempt == 1:
                tell(error)
        wait(backoff(attempt, _FIRST_WAIT, _LONGEST_WAIT))
        attempt += 1


def backoff(attempt: int, first: float = 1.0, longest: float = 300.0) -> float:
    """Seconds to wait after so many failures before: doubling, and spread out by chance."""
    spread = random.uniform(0.75, 1.25)  # noqa: S311  # no secret
    return min(longest, first * 2.0 ** min(attempt, 30)) * spread
