"""What a lease asks of a ledger on PostgreSQL that many workers share."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from core.ledger import jobs, shards
from core.ledger.shards import Claim
from core.ledger.states import JobState
from core.ledger.upgrade import upgrade
from core.settings import Settings
from tests.integration.workers.floor import Floor, until
from workers import lease as leases
from workers.lease import Cancelled, Fenced, Lease, LeaseEnded
from workers.notice import Notice

RARELY = {"lease_seconds": 120.0, "renew_seconds": 60.0}


class Holder:
    """Who claimed a shard of a job, tells of tiles, and counts the statements."""

    def __init__(self, settings: Settings) -> None:
        upgrade(settings.ledger_url)
        self.floor = Floor(settings)
        self.ledger = self.floor.ledger
        self.job = self.floor.job(samples=32, shard_samples=32).id
        self.read = self.written = self.tiles = 0
        event.listen(self.ledger.engine, "before_cursor_execute", self._note)

    def _note(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        self.read += statement.startswith("SELECT")
        self.written += statement.startswith(("UPDATE", "INSERT"))

    def claim(self, seconds: float = 60.0) -> Claim:
        (hint,) = shards.hint(self.ledger, self.job, 1, stale_after=0.0)
        found = shards.claim(self.ledger, hint, "w", "n", seconds)
        assert found
        self.read = self.written = 0
        return found

    def lease(self, claim: Claim, **changed: float) -> Lease:
        settings = replace(self.floor.settings, **changed)  # type: ignore[arg-type]
        return Lease(self.ledger, claim, settings, Notice())

    def tile(self, lease: Lease) -> None:
        self.tiles += 1
        lease.step()
        lease.rendered(self.tiles)


@pytest.fixture
def holder(
    settings: Settings, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Holder]:
    monkeypatch.setattr(leases, "_MOST_OFTEN", 0.0)
    made = Holder(replace(settings, database_url=fresh_database))
    yield made
    made.floor.close()


def ending(holder: Holder, lease: Lease) -> type[LeaseEnded] | None:
    try:
        holder.tile(lease)
    except LeaseEnded as ended:
        return type(ended)
    return None


def test_orders_are_heard_between_tiles_and_nothing_is_written(holder: Holder) -> None:
    with holder.lease(holder.claim(), **RARELY) as lease:
        until(lambda: not ending(holder, lease) and holder.read > 3, "heard several times")
        assert holder.written == 0
        assert jobs.move(holder.ledger, holder.job, JobState.CANCELLED)
        assert until(lambda: ending(holder, lease), "heard") is Cancelled


def test_holder_hears_between_tiles_that_its_shard_is_anothers(holder: Holder) -> None:
    with holder.lease(holder.claim(seconds=-1.0), **RARELY) as lease:
        until(lambda: not ending(holder, lease) and holder.read > 1, "it still holds")
        assert shards.expire(holder.ledger)
        holder.claim()
        assert until(lambda: ending(holder, lease), "heard") is Fenced


def test_lease_is_renewed_in_time_however_often_it_listens(holder: Holder) -> None:
    began = time.monotonic()
    with holder.lease(holder.claim(), lease_seconds=60.0, renew_seconds=0.5) as lease:
        until(lambda: not ending(holder, lease) and holder.written >= 3, "renewed three times")
    assert holder.read > 2 * holder.written
    assert time.monotonic() - began >= 1.5
    assert shards.progress(holder.ledger, holder.job).samples > 1
