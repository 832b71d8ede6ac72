"""Keeping a claimed shard: a thread renews its lease while the renderer gets on.

Between tiles it hears what is ordered. Many workers share a ledger on PostgreSQL, so nothing is
written there then; on SQLite, which is one machine's, each tile shows in the progress.
"""

import faulthandler
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import structlog

from core.errors import SpritemillError
from core.faults import Point, reach
from core.ledger import Ledger, shards
from core.ledger.shards import Claim, Orders
from core.settings import Settings
from workers.notice import Notice

_MOST_OFTEN = 1.0
_KEEPER = ThreadPoolExecutor(1, "lease")  # one for all: small shards outnumber its renewals
_HUNG_AT_LEAST = 60.0
_STDERR = 2

log = structlog.get_logger(__name__)


class LeaseEnded(Exception):  # noqa: N818  # an order or a loss, not a fault of this process
    """This shard is not to be rendered on. `reason` says why."""

    reason = "ended"


class Cancelled(LeaseEnded):
    reason = "cancelled"


class Paused(LeaseEnded):
    reason = "paused"


class Draining(LeaseEnded):
    reason = "draining"


class Fenced(LeaseEnded):
    """The shard was given to another: nothing of it may be written any more."""

    reason = "fenced"


_ENDINGS = {Orders.STOP: Paused, Orders.CANCEL: Cancelled, Orders.FENCED: Fenced}


class Lease:
    """Renews within `with`; the renderer reports to it and is ended by what it raises.

    Only steps of the denoiser count as life, besides the time that `allow` grants for work
    without steps. A child without life for two leases is ended, for the pool to replace it.
    """

    def __init__(self, ledger: Ledger, claim: Claim, settings: Settings, notice: Notice) -> None:
        self._ledger = ledger
        self._claim = claim
        self._settings = settings
        self._notice = notice
        self._orders = Orders.GO
        self._broken: Exception | None = None
        self._steps = self._steps_renewed = self._samples = 0
        self._begun = self._renewed = self._heard = time.monotonic()
        self._allowed_until = 0.0
        self._wake = threading.Event()
        self._done = False

    def __enter__(self) -> Self:
        self._watch()
        self._keeping = _KEEPER.submit(self._run)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done = True
        self._wake.set()
        self._keeping.result()
        faulthandler.cancel_dump_traceback_later()

    def allow(self, seconds: float) -> None:
        """Renew for so long without steps: a model is loaded, or a shard packed and sent."""
        self._allowed_until = time.monotonic() + seconds

    def loaded(self) -> None:
        """From here on only steps count as life, and time is measured."""
        self._allowed_until = 0.0
        self._steps += 1
        self._begun = time.monotonic()
        self.check()

    def step(self) -> None:
        self._steps += 1
        self.check()

    def rendered(self, samples: int) -> None:
        """So many samples are rendered. Orders are read anew when that was a while ago."""
        self._samples = samples
        reach(Point.RENDERING, self._claim.shard)
        if time.monotonic() - self._heard > min(_MOST_OFTEN, self._settings.renew_seconds):
            self._wake.set()
        self.check()

    def finishing(self) -> None:
        self.allow(self._settings.load_seconds)
        self.check()

    def check(self) -> None:
        """Raises LeaseEnded when this shard must not be rendered on."""
        if self._broken is not None:
            raise self._broken
        if ending := _ENDINGS.get(self._orders):
            raise ending
        if time.monotonic() + self._remaining() > self._notice.deadline:
            raise Draining

    def confirm(self) -> None:
        """Before something is written: who may have slept past the lease asks if it still holds."""
        if time.monotonic() - self._renewed > self._settings.lease_seconds:
            self._renew()
        self.check()

    def wait(self, seconds: float) -> None:
        """Sleep, awake early to raise LeaseEnded."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.1))
        self.check()

    def _remaining(self) -> float:
        """Seconds that the shard will still take, as far as can be told."""
        if not self._samples:
            return 0.0
        spent = time.monotonic() - self._begun
        return spent * (self._claim.samples - self._samples) / self._samples

    def _run(self) -> None:
        due = time.monotonic() + self._settings.renew_seconds
        try:
            while not self._done:
                self._wake.wait(max(0.0, due - time.monotonic()))
                self._wake.clear()
                if self._done:
                    break
                if self._ledger.postgresql and time.monotonic() < due:
                    self._ask(shards.orders)
                    continue
                due = time.monotonic() + self._settings.renew_seconds
                if self._alive():
                    self._watch()
                    self._renew()
        except Exception as error:
            log.exception("lease.broken", job=self._claim.job, shard=self._claim.shard)
            self._broken = error

    def _alive(self) -> bool:
        moved = self._steps != self._steps_renewed
        return moved or time.monotonic() < self._allowed_until

    def _renew(self) -> None:
        steps = self._steps
        if self._ask(shards.renew):
            self._steps_renewed = steps
            self._renewed = self._heard

    def _ask(self, ask: Callable[[Ledger, Claim, float, int, float], Orders]) -> bool:
        """Whether the ledger answered."""
        spent = time.monotonic() - self._begun
        lease = self._settings.lease_seconds
        try:
            self._orders = ask(self._ledger, self._claim, lease, self._samples, spent)
        except SpritemillError as error:
            if not error.retryable:
                raise
            log.warning("lease.renewal_failed", job=self._claim.job, error=error.message)
            return False
        self._heard = time.monotonic()
        return True

    def _watch(self) -> None:
        """Postpone the end of this process; a hang that holds Python's lock cannot stop that."""
        hung = max(_HUNG_AT_LEAST, 2 * self._settings.lease_seconds)
        faulthandler.dump_traceback_later(hung, exit=True, file=_STDERR)
