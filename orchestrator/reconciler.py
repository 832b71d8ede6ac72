"""Putting right what dead workers leave behind."""

import socket

import structlog

from core.ledger import Ledger, shards, workers
from core.ledger.workers import WorkerState
from core.settings import Settings
from orchestrator import child
from orchestrator.fleet import silent_after

_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Reconciler:
    """Leases that ran out, workers that fell silent, and dead processes of this machine."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings

    def step(self) -> float:
        bury_dead(self._ledger, self._settings)
        for worker in workers.silent(self._ledger, silent_after(self._settings)):
            workers.gone(self._ledger, worker.id)  # it may render yet: its leases run out
            log.warning("worker.silent", worker=worker.id, host=worker.host)
        for expired in shards.expire(self._ledger):
            log.warning("lease.expired", job=expired.job, shard=expired.shard)
        return min(_SECONDS, self._settings.lease_seconds / 4)


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
