"""What a job under way lacks that has to be mended from outside."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core import ledger as ledgers
from core.errors import UnreachableError
from core.ledger.states import TERMINAL, JobState
from core.settings import Settings
from orchestrator import disk, fleet

if TYPE_CHECKING:
    from core.ledger import Ledger
    from core.ledger.jobs import Job
    from core.ledger.workers import Worker

NO_DATABASE = "the database, which does not answer"
_NO_BROKER = "the broker, which does not answer"


def lack(
    ledger: "Ledger", settings: Settings, job: "Job", live: "Sequence[Worker]", leased: int
) -> str:
    """What it waits for, in words; empty when it goes on, or is not to. `leased`: its shards."""
    if job.state in (*TERMINAL, JobState.PAUSED):
        return ""
    if settings.embedded and _no_mill(settings):
        return "a mill: `spritemill up`"
    if folder := disk.full(settings):
        return f"space on the disk of {folder}"
    if why := ledgers.delays.reason(ledger, job):
        return f"the store: {why.rstrip('.')}"
    if job.state == JobState.FINALIZING:
        return ""
    if not live:
        return "a worker"
    short = ledgers.bars.too_little(ledger, job.id)
    larger = fleet.larger(job, live, short) if short is not None else ""
    if other := larger or fleet.missing(ledger, job, live):
        return other
    return "" if leased or _broker_answers(settings) else _NO_BROKER


def _no_mill(settings: Settings) -> bool:
    from orchestrator import mill_file

    return mill_file.find(settings.home) is None


def _broker_answers(settings: Settings) -> bool:
    if settings.embedded:
        return True  # its mill keeps it up
    from orchestrator import broker

    try:
        broker.check(settings.broker_url)
    except UnreachableError:
        return False
    return True
