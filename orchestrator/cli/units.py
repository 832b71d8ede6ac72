"""Numbers as people read them."""

import time


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`; `?` when unknown."""
    if seconds is None:
        return "?"
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    for size, unit, part, lower in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"),
                                    (60, "min", 1, "s")):  # fmt: skip
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit} {rest} {lower}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def size(count: float) -> str:
    """Bytes in decimal units: `12.3 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def count(number: int, noun: str) -> str:
    """`1 shard`, `1,200 sprites`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def rate(samples_per_second: float) -> str:
    """`1,234/s`, `12.3/s`."""
    digits = 0 if samples_per_second >= 100 else 1
    return f"{samples_per_second:,.{digits}f}/s"


def moment(epoch: float | None) -> str:
    """Local time of epoch seconds; empty when it has not come."""
    return "" if epoch is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch))
