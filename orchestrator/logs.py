"""What this machine's workers and mill logged about a job."""

import heapq
import json
from collections.abc import Iterator
from pathlib import Path


def about(job: str, folder: Path) -> Iterator[str]:
    """Lines of the folder's logs that name the job, oldest first."""
    logs = (_naming(job, path) for path in sorted(folder.glob("*.log*")))
    return heapq.merge(*logs, key=_when)


def _naming(job: str, log: Path) -> Iterator[str]:
    with log.open(encoding="utf-8", errors="replace") as lines:
        yield from (line.rstrip("\n") for line in lines if job in line)


def _when(line: str) -> str:
    return str(entry(line).get("timestamp", ""))


def entry(line: str) -> dict[str, object]:
    """A line's fields; what another program wrote there is the event itself."""
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    return fields if isinstance(fields, dict) else {"event": line}
