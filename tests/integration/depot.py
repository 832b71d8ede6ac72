"""A dispatcher between a real ledger and a real broker, whose workers a test plays by hand."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from core.ledger import Ledger, jobs, shards, workers
from core.ledger.jobs import NewJob
from core.ledger.shards import Claim, Result
from core.ledger.workers import NewWorker, WorkerState
from core.messages import RenderHint, queue
from core.settings import Settings
from orchestrator.broker import client
from orchestrator.dispatcher import Dispatcher
from orchestrator.publisher import Publisher

LEASE = 60.0
SAMPLES = 32


@dataclass
class Depot:
    """A dispatcher between a real ledger and a real broker."""

    settings: Settings
    ledger: Ledger
    publisher: Publisher
    dispatcher: Dispatcher = field(init=False)
    added: int = 0

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(self.ledger, self.publisher, self.settings)

    def worker(self, name: str, numerics: str = "cpu", slots: int = 2) -> None:
        facts = {"class": numerics}
        new = NewWorker(name, "elsewhere", 1, 0.0, "none", numerics, facts, slots)
        workers.register(self.ledger, new)
        workers.beat(self.ledger, name, WorkerState.READY)

    def job(
        self, count: int, owner: str = "ann", priority: int = 0, at_most: int | None = None
    ) -> str:
        self.added += 1
        new = NewJob(
            id=jobs.new_id(),
            owner=owner,
            name=f"job {self.added}",
            request="{}",
            request_digest=f"{self.added:064x}",
            model="dungeon-32",
            weights="0" * 64,
            total_samples=count * SAMPLES - 1,
            shard_count=count,
            shard_samples=SAMPLES,
            context_count=1,
            priority=priority,
            workers=at_most,
        )
        return jobs.add(self.ledger, new)[0].id

    def waiting(self, numerics: str = "cpu") -> int:
        return self.publisher.waiting(queue(numerics))

    def take(self, numerics: str = "cpu") -> RenderHint:
        """The next message, as a worker would get it."""
        with client(self.settings.broker_url) as opened:
            raw = opened.rpop(self.settings.broker_prefix + queue(numerics))
        assert isinstance(raw, bytes), "no message waits"
        _, payload, _ = json.loads(base64.b64decode(json.loads(raw)["body"]))
        return RenderHint(**payload)

    def claim(self, numerics: str = "cpu", worker: str = "w1") -> Claim | None:
        return shards.claim(self.ledger, self.take(numerics), worker, numerics, LEASE)

    def finish(self, claim: Claim, seconds: float) -> None:
        digest = f"{claim.shard:064x}"
        done = Result("key", digest, 1, "part", digest, claim.samples, digest, seconds)
        assert shards.commit(self.ledger, claim, done)

    def statements(self) -> int:
        """What the next look asks of the database."""
        run: list[str] = []

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            if not statement.startswith("BEGIN"):
                run.append(statement)

        event.listen(self.ledger.engine, "before_cursor_execute", note)
        self.dispatcher.step()
        event.remove(self.ledger.engine, "before_cursor_execute", note)
        return len(run)

    def flush(self, numerics: str = "cpu") -> None:
        with client(self.settings.broker_url) as opened:
            opened.delete(self.settings.broker_prefix + queue(numerics))
