"""A fleet to do harm to: real servers, armed workers and mills, and a judge of what came of it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from redis import Redis
from sqlalchemy import func, select

from core.dataset.layout import MANIFEST, dataset_prefix, work_prefix
from core.dataset.source import StoreSource, read_manifest
from core.faults import Point
from core.ledger import jobs, leftovers, schema, shards
from core.ledger.states import JobState
from core.settings import Settings
from orchestrator.service import Service
from tests.chaos.plan import Action, Fault
from tests.integration.workers import floor
from tests.integration.workers.floor import Hand
from tests.integration.yard import request

LEASE = 3.0
MARGIN = 10.0
"""Seconds beyond a lease: until it is seen that it ran out, and until a slot is free."""

HINT_LOST = 6.0
"""Seconds until a hint counts as lost that was heard but not taken."""

SHARDS = 6
_SHARD = 64
_IN_TRANSACTION = (Point.CLAIMING, Point.COMMITTING)
_PATIENCE = 120.0
T = TypeVar("T")


def until(condition: Callable[[], T], what: str) -> T:
    """The first truth that the condition gives, on however busy a machine."""
    return floor.until(condition, what, _PATIENCE)


def asked() -> str:
    """The request that all disturbed runs are of: each shard has two tiles."""
    return request(2 * SHARDS, outputs={"shard_samples": _SHARD, "preview": True})


@dataclass(slots=True)
class Fleet:
    """Workers and mills of one ledger, broker and store. `folder` has their logs and marks."""

    settings: Settings
    folder: Path
    service: Service
    hands: list[Hand] = field(default_factory=list)

    def fault(
        self, point: Point, action: Action, what: int | str | None = None, **more: Any
    ) -> Fault:
        """A fault for the processes of this fleet. Inside a transaction it hits whichever shard
        comes there: a job's first claim and last commit do, all others are one statement.
        """
        what = None if point in _IN_TRANSACTION else what
        mark = self.folder / f"fired-{len(list(self.folder.glob('plan-*')))}"
        made = Fault(point, action, mark, what, **more)
        made.write(self._plan(made))
        return made

    def worker(
        self,
        fault: Fault | None = None,
        environment: Mapping[str, str] | None = None,
        **changed: Any,
    ) -> Hand:
        """Start a worker, armed with a fault if one is given."""
        program = ("tests.chaos.armed", "worker", str(self._plan(fault))) if fault else ("workers",)
        return self._start(program, environment or {}, replace(self.settings, **changed))

    def mill(self, fault: Fault) -> Hand:
        """Start an armed orchestrator in a process of its own; it leads for a lease at a time."""
        home = self.folder / f"mill-{len(self.hands)}"
        program = ("tests.chaos.armed", "mill", str(self._plan(fault)))
        return self._start(program, {}, replace(self.settings, home=home))

    def submit(self) -> str:
        return self.service.submit(asked()).job.id

    def close(self) -> None:
        for hand in self.hands:
            hand.end()

    def stopped(self, fault: Fault) -> Hand:
        """The process with a fault that stopped it or its child, once that has happened."""
        until(lambda: fault.fired, f"{fault.action} at {fault.point}")
        return next(hand for hand in self.hands if fault.process in hand.pids())

    def failures(self) -> int:
        """How many failures of shards were counted."""
        counted = select(func.coalesce(func.sum(schema.shards.c.failures), 0))
        with self.service.ledger.read() as connection:
            return int(connection.execute(counted).scalar_one())

    def claimed_after(self, fault: Fault) -> float:
        """Seconds from the fault to the next claim of the shard that it hit; 0 without one."""
        assert fault.fired is not None
        moments = [
            datetime.fromisoformat(event["timestamp"]).timestamp() - fault.fired
            for hand in self.hands
            for event in hand.events("shard.claimed")
            if str(event["shard"]) == fault.hit
        ]
        return min((moment for moment in moments if moment > 0), default=0.0)

    def _plan(self, fault: Fault) -> Path:
        return self.folder / fault.mark.name.replace("fired", "plan")

    def _start(
        self, program: Sequence[str], environment: Mapping[str, str], settings: Settings
    ) -> Hand:
        log = self.folder / f"process-{len(self.hands)}.log"
        hand = Hand(settings, log, program, **environment)
        self.hands.append(hand)
        return hand


def judge(fleet: Fleet, job: str, undisturbed: str) -> None:
    """Wait for a job's end, and prove that nothing was lost, done twice or left behind."""
    until(lambda: fleet.service.job(job).state not in _LIVE, "the job ended by itself")
    _judge_job(fleet, job, undisturbed)
    _judge_rows(fleet, job)
    _judge_store(fleet, job)
    _judge_broker(fleet.settings)


_LIVE = {JobState.PLANNED, JobState.RUNNING, JobState.PAUSED, JobState.FINALIZING}


def _judge_job(fleet: Fleet, name: str, undisturbed: str) -> None:
    job = fleet.service.job(name)
    assert (job.state, job.error) == (JobState.SUCCEEDED, None)
    assert job.dataset_digest == undisturbed
    report = fleet.service.datasets.verify(name)
    assert (report.problems, report.samples) == ((), job.total_samples)
    assert (job.shards_done, job.shards_leased) == (job.shard_count, 0)
    assert job.samples_done == job.total_samples


def _judge_rows(fleet: Fleet, name: str) -> None:
    """Every shard is done by workers of one class, every commit counted once, nothing is held."""
    table, hands = schema.shards, schema.workers
    with fleet.service.ledger.read() as connection:
        states = set(connection.execute(select(table.c.state)).scalars())
        held = select(table.c.number).where(
            table.c.lease_until.is_not(None) | table.c.hinted_at.is_not(None)
        )
        assert not connection.execute(held).all(), "leases or hints are left"
        counted = connection.execute(select(func.sum(hands.c.samples_done))).scalar()
        made = select(hands.c.numerics).join(table, table.c.worker == hands.c.id).distinct()
        assert len(connection.execute(made).all()) == 1, "classes of arithmetic were mixed"
    job = jobs.get(fleet.service.ledger, name)
    done = shards.done(fleet.service.ledger, name, limit=job.shard_count)
    assert states == {"done"}
    assert sum(shard.samples for shard in done) == counted == job.total_samples
    assert sum(shard.size for shard in done) == job.bytes_done
    absent = [shard.key for shard in done if fleet.service.store.head(shard.key) is None]
    assert not absent, "rows name what is not in the store"


def _judge_store(fleet: Fleet, name: str) -> None:
    """The store holds what the manifest names, and nothing else."""
    store = fleet.service.store
    until(lambda: not leftovers.due(fleet.service.ledger), "what workers left is gone")
    manifest = read_manifest(StoreSource(store, name))
    named = {dataset_prefix(name) + file for file in (*manifest.sizes(), MANIFEST)}
    assert {info.key for info in store.list(dataset_prefix(name))} == named
    assert not list(store.list(work_prefix(name))), "parts of the index are left"
    assert not list(store.unfinished(float("inf"))), "an upload was left unfinished"


def _judge_broker(settings: Settings) -> None:
    """No message waits: a worker takes each, if only to find that it is of no use."""
    with Redis.from_url(settings.broker_url, decode_responses=True) as client:
        until(lambda: not waiting(client, settings.broker_prefix), "no message waits")


def waiting(client: Redis, prefix: str) -> list[str]:
    """The queues of rendering that are not empty."""
    queue = re.compile(re.escape(prefix) + r"render(\.\w+)?")
    return [key for key in client.scan_iter(f"{prefix}render*") if queue.fullmatch(key)]
