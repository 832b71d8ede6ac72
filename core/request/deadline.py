"""Until when a job may run."""

from datetime import datetime

from core import duration


def moment(text: str, start: float) -> float:
    """The epoch seconds of `12h` from a start on, or of `2030-01-31T18:00:00Z`.

    Raises ValueError.
    """
    try:
        return start + duration.seconds(text)
    except ValueError:
        pass  # a date, then
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("give a span such as 12h, or a time as 2030-01-31T18:00:00Z") from None
    if found.tzinfo is None:
        raise ValueError("say of which zone it is: Z, or an offset as +02:00")
    return found.timestamp()
