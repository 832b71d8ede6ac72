"""Spans of time as people write them."""

import re

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"([0-9]{1,9})([smhd])")


def seconds(text: str) -> int:
    """The seconds of `45s`, `90m`, `12h` or `30d`. Raises ValueError for anything else."""
    found = _SPAN.fullmatch(text)
    if not found:
        raise ValueError("a number with s, m, h or d after it is needed, such as 12h or 30d")
    return int(found[1]) * _UNITS[found[2]]
