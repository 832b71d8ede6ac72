"""One child process of a worker at its work: from a hint to a committed shard."""

import functools
import hashlib
import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import structlog

from core import ledger as ledgers
from core import storage
from core.dataset import layout
from core.dataset.shard import Packed
from core.errors import ConflictError, SpritemillError, UnreachableError
from core.faults import Point, reach
from core.ledger import delays, jobs, leftovers, shards
from core.ledger.refusals import Drift, Refusals
from core.ledger.shards import Claim, Result
from core.ledger.states import ShardState
from core.messages import RenderHint
from core.request import load, quality
from core.request.plan import Plan, Shard, digest
from core.settings import Settings
from workers.alone import render_alone
from workers.identity import Identity
from workers.lease import Fenced, Lease, LeaseEnded
from workers.memory import out_of_memory
from workers.model_cache import ModelCache
from workers.notice import Notice
from workers.patience import backoff, patiently
from workers.render import Renderer, render_shard

_PLANS = 4
_TAR = "application/x-tar"
_PARQUET = "application/vnd.apache.parquet"

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Slot:
    """Opens ledger and store for this process alone: neither may be carried across a fork."""

    def __init__(self, settings: Settings, identity: Identity, notice: Notice) -> None:
        self._settings = settings
        self._identity = identity
        self._notice = notice
        self._ledger = ledgers.connect(settings.ledger_url)
        self._store = storage.connect(settings)
        self._models = ModelCache(settings, self._store)
        self._plan = functools.lru_cache(maxsize=_PLANS)(self._read_plan)

    def take(self, hint: RenderHint) -> None:
        """Claim, render, upload and commit. What fails is told to the ledger, not raised."""
        with self._notice.heeding_sigterm(self._settings.grace_seconds):
            self._take(hint)

    def _take(self, hint: RenderHint) -> None:
        told = log.bind(job=hint.job, shard=hint.shard, worker=self._identity.worker)
        if self._notice.given:
            told.info("hint.left", reason="draining")
            return
        claim = self._claim(hint)
        if claim is None:
            told.info("hint.refused", attempt=hint.attempt)
            return
        told = told.bind(attempt=claim.attempt)
        told.info("shard.claimed", samples=claim.samples)
        reach(Point.CLAIMED, claim.shard)
        with Lease(self._ledger, claim, self._settings, self._notice) as lease:
            self._finish(claim, lease, told)

    def _claim(self, hint: RenderHint) -> Claim | None:
        """However long the ledger is away: an answer that was lost may have been a yes."""
        who, lease = self._identity, self._settings.lease_seconds
        tries = itertools.count()

        def ask() -> Claim | None:
            again = next(tries) > 0
            return shards.claim(self._ledger, hint, who.worker, who.numerics, lease, again=again)

        return patiently(ask, self._sleep, tries=None)

    def _finish(self, claim: Claim, lease: Lease, told: structlog.stdlib.BoundLogger) -> None:
        started = time.monotonic()
        try:
            kept = self._make(claim, lease)
        except Fenced:
            self._fenced(claim, lease, told)
        except LeaseEnded as ended:
            self._release(claim, lease)
            told.info("shard.released", reason=ended.reason)
        except SpritemillError as error:
            if error.retryable:
                self._release(claim, lease)
                told.warning("shard.released", reason="unreachable", error=error.message)
            else:
                self._fail(claim, error, lease, told)
        except Exception as error:  # noqa: BLE001  # whatever it was, the ledger must know
            self._fail(claim, error, lease, told)
        else:
            if kept:
                told.info("shard.committed", seconds=round(time.monotonic() - started, 3))
            else:
                self._fenced(claim, lease, told)

    def _fenced(self, claim: Claim, lease: Lease, told: structlog.stdlib.BoundLogger) -> None:
        """The shard is another's by now, or its job over: what was sent may be named by nothing."""
        self._tell(lambda: leftovers.mark(self._ledger, claim.job), lease, self._sleep)
        told.warning("shard.fenced")

    def _make(self, claim: Claim, lease: Lease) -> bool:
        lease.allow(self._settings.load_seconds)
        plan = patiently(lambda: self._plan(claim.job, claim.weights), lease.wait)
        renderer = patiently(lambda: self._models.renderer(claim.weights), lease.wait)
        lease.loaded()
        started = time.monotonic()
        shard = plan.shard(claim.shard)
        packed = self._packed(plan, shard, renderer, claim, lease)
        seconds = time.monotonic() - started
        reach(Point.RENDERED, claim.shard)
        result = self._upload(claim, shard.number, packed, seconds, lease)
        if plan.request.quality is not None:
            result = replace(result, refusals=_refusals(packed, plan.request.quality.drift))
        reach(Point.UPLOADED, claim.shard)
        kept = self._tell(lambda: shards.commit(self._ledger, claim, result), lease, lease.wait)
        reach(Point.COMMITTED, claim.shard)
        return kept

    def _packed(
        self, plan: Plan, shard: Shard, renderer: Renderer, claim: Claim, lease: Lease
    ) -> Packed:
        """What keeps failing is rendered sample by sample, and the ledger told which is next."""
        if claim.failures < shards.FAILURES:
            return render_shard(plan, shard, renderer, lease, claim.given_up)

        def trying(key: str | None) -> None:
            self._tell(lambda: shards.trying(self._ledger, claim, key), lease, lease.wait)

        def give_up(key: str, reason: str) -> None:
            giving_up = functools.partial(shards.give_up, self._ledger, claim, key, reason)
            self._tell(giving_up, lease, lease.wait)

        return render_alone(plan, shard, renderer, lease, claim.given_up, trying, give_up)

    def _upload(
        self, claim: Claim, number: int, packed: Packed, seconds: float, lease: Lease
    ) -> Result:
        """Put both files under names that hold their hashes; the store proves them whole.

        `number` is the shard's in the dataset, where a parent's shards come first.
        """
        tar_sha256 = hashlib.sha256(packed.tar).hexdigest()
        part_sha256 = hashlib.sha256(packed.part).hexdigest()
        key = layout.shard_key(claim.job, number, tar_sha256)
        part_key = layout.part_key(claim.job, number, part_sha256)
        for name, data, kind in ((key, packed.tar, _TAR), (part_key, packed.part, _PARQUET)):
            lease.confirm()
            put = functools.partial(self._store.put, name, data, content_type=kind)
            patiently(put, lease.wait, functools.partial(self._delayed, claim))
            reach(Point.UPLOADING, claim.shard)
        return Result(
            key=key,
            sha256=tar_sha256,
            size=len(packed.tar),
            part_key=part_key,
            part_sha256=part_sha256,
            samples=packed.samples,
            samples_digest=packed.digest,
            seconds=seconds,
        )

    def _delayed(self, claim: Claim, error: SpritemillError) -> None:
        """Tell what a shard waits for, to those who watch; the shard needs nobody to hear it."""
        try:
            delays.tell(self._ledger, claim.job, error.message, claim)
        except UnreachableError as silent:
            log.warning("delay.untold", job=claim.job, error=silent.message)

    def _tell(self, action: Callable[[], T], lease: Lease, wait: Callable[[float], None]) -> T:
        """Tell the ledger, however long it is away: nobody else can know, and work would be lost.

        Meanwhile the lease is renewed as soon as that can be.
        """

        def outlast(seconds: float) -> None:
            lease.allow(self._settings.load_seconds)
            wait(seconds)

        return patiently(action, outlast, tries=None)

    def _release(self, claim: Claim, lease: Lease) -> None:
        self._tell(lambda: shards.release(self._ledger, claim), lease, self._sleep)

    def _sleep(self, seconds: float) -> None:
        """Wait to take a shard or let it go. Raises UnreachableError when a stop leaves no time."""
        left = self._notice.deadline - time.monotonic()
        if left <= 0:
            raise UnreachableError("a shard was not handed back in time: its lease will run out.")
        time.sleep(min(seconds, left))

    def _fail(
        self, claim: Claim, error: Exception, lease: Lease, told: structlog.stdlib.BoundLogger
    ) -> None:
        kind = type(error).__name__
        state = self._tell(lambda: self._failed(claim, error), lease, self._sleep)
        told.error("shard.failed", kind=kind, now=str(state), exc_info=error)

    def _failed(self, claim: Claim, error: Exception) -> ShardState:
        """By kind: memory needs a larger worker; our own errors are no single sample's fault."""
        kind, text = type(error).__name__, str(error)
        if out_of_memory(error):
            return shards.exhaust(self._ledger, claim, f"{kind}: {text}")
        limit = shards.FAILURES if isinstance(error, SpritemillError) else 2 * shards.FAILURES
        wait = backoff(claim.failures)
        return shards.fail(self._ledger, claim, kind, text, backoff=wait, limit=limit)

    def _read_plan(self, job: str, sha256: str) -> Plan:
        """Raises ConflictError when this renderer would draw what another version planned."""
        request = load.parse(jobs.request_text(self._ledger, job))
        made = Plan(request, self._models.spec(sha256))
        if digest(made, sha256) != jobs.get(self._ledger, job).request_digest:
            raise ConflictError(
                f"job {job}: it was planned for another version of the renderer than ours.",
                remedy="Submit it again with --again.",
            )
        return made


def _refusals(packed: Packed, asked: quality.Drift | None) -> Refusals:
    drift = Drift(asked.refused, asked.shards) if asked else None
    return Refusals(packed.refused, packed.unfilled, drift)
