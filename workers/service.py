"""A worker's parent process: registers, beats, and leaves the children to Celery's prefork pool."""

import gc
from dataclasses import replace
from typing import Any

import pyarrow as pa
import structlog
from celery import signals

from core import ledger as ledgers
from core.ledger import workers as rows
from core.messages import ANY_QUEUE, queue
from workers import numerics
from workers.celery import app
from workers.heartbeat import Heartbeat
from workers.identity import Identity, new_id

log = structlog.get_logger(__name__)


def run(worker: str | None = None) -> int:
    """Serve until told to stop; the exit code. Raises UnreachableError, ConflictError."""
    settings = app.settings
    pa.array([])  # imports pandas where that is installed: here once, not in every child
    facts, memory = numerics.probe(settings)
    app.identity = Identity(worker or new_id(), facts, memory)
    # Children draw with the kernels that were told of, or fail: they never decide anew.
    settings = replace(settings, compile="yes" if "kernels" in facts else "no")
    app.settings = settings
    ledger = ledgers.connect(settings.ledger_url)
    heartbeat = Heartbeat(ledger, app.identity, settings, app.notice)
    rows.register(ledger, app.identity.row(settings.slots))

    def ready(sender: Any, **_: Any) -> None:
        heartbeat.start(lambda: getattr(sender.connection, "connected", False))
        log.info("worker.ready", worker=app.identity.worker, numerics=app.identity.numerics)

    def stopping(**_: Any) -> None:
        app.notice.give(settings.grace_seconds)

    signals.setup_logging.connect(_leave_logging, weak=False)
    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutting_down.connect(stopping, weak=False)
    celery = app.Worker(
        hostname=f"{app.identity.worker}@{app.identity.host}",
        queues=[ANY_QUEUE, queue(app.identity.numerics)],
        quiet=True,
        without_gossip=True,
        without_heartbeat=True,
        without_mingle=True,
    )
    gc.freeze()  # or each child would look through, and so copy, all that it shares with us
    try:
        celery.start()
    finally:
        heartbeat.stop()
    log.info("worker.stopped", worker=app.identity.worker)
    return int(celery.exitcode or 0)


def _leave_logging(**_: Any) -> None:
    """That this is connected keeps Celery from setting up logs of its own."""
