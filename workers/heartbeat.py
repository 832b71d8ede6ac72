"""A worker's heartbeat, in threads of its parent: says that it lives, hears its orders.

What the machine or a signal orders is heeded in a thread of its own: a database that is frozen may
keep the other waiting for ever.
"""

import math
import os
import threading
import time
from collections.abc import Callable

import structlog
from celery.worker import state as celery_state

from core.errors import SpritemillError
from core.ledger import Ledger, shards
from core.ledger import workers as rows
from core.ledger.workers import Order, WorkerState
from core.settings import Settings
from workers.identity import Identity
from workers.notice import Notice

EXIT_STUCK = 75
"""The worker ended itself, and a supervisor should start it anew (EX_TEMPFAIL)."""

_LAST_WORDS = 5.0
_TICK = 1.0

log = structlog.get_logger(__name__)


class Heartbeat:
    """Runs from `start` to `stop`. Its ledger's connections are closed while a child is forked."""

    def __init__(
        self, ledger: Ledger, identity: Identity, settings: Settings, notice: Notice
    ) -> None:
        self._ledger = ledger
        self._worker = identity.worker
        self._numerics = identity.numerics
        self._settings = settings
        self._notice = notice
        self._connected: Callable[[], bool] = lambda: True
        self._heard = 0
        self._deaf_at = math.inf
        self._using_ledger = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._beat_on, name="heartbeat", daemon=True),
            threading.Thread(target=self._watch, name="notice", daemon=True),
        ]
        os.register_at_fork(before=self._before_fork, after_in_parent=self._using_ledger.release)

    def start(self, connected: Callable[[], bool]) -> None:
        """Begin; `connected` tells whether the broker is there to be heard."""
        self._connected = connected
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Say goodbye to the ledger."""
        self._stopped.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        rows.gone(self._ledger, self._worker)

    def _before_fork(self) -> None:
        self._using_ledger.acquire()
        self._ledger.close()

    def _watch(self) -> None:
        while not self._stopped.wait(_TICK):
            if not self._notice.given and self._to_go():
                log.info("worker.noticed", file=self._settings.notice_file)
                self._notice.give(self._settings.grace_seconds)
            if self._notice.given:
                celery_state.should_stop = os.EX_OK  # type: ignore[assignment]  # stubs: None
            if time.monotonic() > self._notice.deadline + _LAST_WORDS:
                self._overdue()

    def _beat_on(self) -> None:
        pause = min(_TICK, self._settings.heartbeat_seconds)
        while not self._stopped.wait(pause):
            self._beat_or_wait()
            pause = self._settings.heartbeat_seconds

    def _to_go(self) -> bool:
        """Whether the machine says that it will be taken away."""
        path = self._settings.notice_file
        return bool(path) and os.access(path, os.F_OK)

    def _beat_or_wait(self) -> None:
        try:
            with self._using_ledger:
                self._beat()
        except SpritemillError as error:
            log.warning("heartbeat.failed", error=error.message)
            if not error.retryable:
                self._end("worker.disowned")
        except Exception:
            log.exception("heartbeat.failed")
            self._end("worker.broken")

    def _beat(self) -> None:
        state = WorkerState.DRAINING if self._notice.given else WorkerState.READY
        order = rows.beat(self._ledger, self._worker, state)
        if order is Order.RUN:
            self._listen()
        else:
            log.info("worker.ordered", order=str(order))
            self._notice.give(math.inf if order is Order.DRAIN else self._settings.grace_seconds)

    def _listen(self) -> None:
        """End a worker that is connected, and for two leases hears nothing of what waits for it."""
        heard = celery_state.all_total_count[0]
        idle = heard == self._heard and not celery_state.active_requests
        self._heard = heard
        if not idle or not self._connected() or not shards.queued(self._ledger, self._numerics):
            self._deaf_at = math.inf
        elif self._deaf_at == math.inf:
            self._deaf_at = time.monotonic() + 2 * self._settings.lease_seconds
        elif time.monotonic() > self._deaf_at:
            self._end("worker.deaf")

    def _overdue(self) -> None:
        """A child neither ended nor handed back its shard: do so in its stead, without penalty."""
        burying = threading.Thread(target=self._bury, daemon=True)
        burying.start()
        burying.join(_LAST_WORDS)
        self._end("worker.overdue")

    def _bury(self) -> None:
        with self._using_ledger:
            rows.bury(self._ledger, [self._worker], free=True)

    def _end(self, event: str) -> None:
        """End at once; the kernel ends the children with us, and leases run out."""
        log.error(event, worker=self._worker)
        os._exit(EXIT_STUCK)
