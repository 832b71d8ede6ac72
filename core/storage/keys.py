"""Which keys are allowed: those that mean the same in every store and on every file system."""

import re

from core.errors import UsageError

_LONGEST = 512
_SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}"
_KEY = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_PREFIX = re.compile(rf"({_SEGMENT}/)*({_SEGMENT})?")
_REMEDY = (
    f"A key is at most {_LONGEST} characters: parts of letters, digits and ._- with / between them,"
    " none longer than 200 or beginning with a dot."
)


def is_key(text: str) -> bool:
    return len(text) <= _LONGEST and _KEY.fullmatch(text) is not None


def check_key(key: str) -> str:
    """The key itself. Raises UsageError."""
    if not is_key(key):
        raise _refused("key", key)
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself: the beginning of a key, or nothing. Raises UsageError."""
    if len(prefix) > _LONGEST or not _PREFIX.fullmatch(prefix):
        raise _refused("prefix", prefix)
    return prefix


def _refused(kind: str, given: str) -> UsageError:
    return UsageError(f"{kind} = {given[:100]!a}: it is not allowed.", remedy=_REMEDY)
