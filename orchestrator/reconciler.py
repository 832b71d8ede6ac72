"""Putting right what dead workers leave behind."""

import socket
import time

import structlog

from core.ledger import Ledger, limits, shards, workers
from core.ledger.workers import WorkerState
from core.settings import Settings
from orchestrator import child
from orchestrator.fleet import silent_after

_SECONDS = 1.0
_A_WHILE = 5.0

log = structlog.get_logger(__name__)


class Reconciler:
    """Leases that ran out, workers that fell silent, and dead processes of this machine.

    When nobody looked from here for a while, as another led, the machine slept or the ledger was
    away, perhaps nobody could renew: then all get the time to, before they are judged.
    """

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._due = 0.0  # by the time of day: other clocks stand still while a machine sleeps
        self._lenient_until = 0.0

    def step(self) -> float:
        """The seconds until the next look. Raises UnreachableError."""
        pause = min(_SECONDS, self._settings.lease_seconds / 4)
        bury_dead(self._ledger, self._settings)
        for job in limits.overdue(self._ledger):  # where no worker would find out
            limits.enforce(self._ledger, job)
            log.warning("job.overdue", job=job)
        renewing = self._settings.renew_seconds
        if time.time() - self._due > min(renewing, _A_WHILE):
            self._lenient_until = time.monotonic() + 2 * renewing
        if time.monotonic() >= self._lenient_until:
            self._judge()
        self._due = time.time() + pause
        return pause

    def _judge(self) -> None:
        for worker in workers.silent(self._ledger, silent_after(self._settings)):
            workers.gone(self._ledger, worker.id)  # it may render yet: its leases run out
            log.warning("worker.silent", worker=worker.id, host=worker.host)
        for expired in shards.expire(self._ledger):
            log.warning("lease.expired", job=expired.job, shard=expired.shard)


def bury_dead(ledger: Ledger, settings: Settings, *, free: bool = False) -> None:
    """Give the shards of dead workers back at once, where their processes can be seen.

    A SQLite ledger's workers are of this machine; elsewhere a pid may be another container's.
    `free`: their deaths are not their shards' fault.
    """
    if not settings.ledger_url.startswith("sqlite"):
        return
    host = socket.gethostname()
    dead = [
        worker.id
        for worker in workers.list(ledger)
        if worker.state != WorkerState.GONE
        and worker.host == host
        and not child.alive(worker.pid, worker.started)
    ]
    if dead:
        workers.bury(ledger, dead, free=free)
        log.warning("worker.buried", workers=dead)
