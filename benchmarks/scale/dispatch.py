"""What the control plane spends on a shard in a steady backlog, at 1, 100 and 1,000 open jobs.

All three are measured in turn, five times: the medians are told, for a shared machine's speed
wanders.

The dispatcher sends through a real broker, and each message is claimed and committed at once. Rows
of shards are there before: planning them costs the same however many jobs there are (the case
`ledger` tells what). Counted is processor time: of the dispatcher, of the claims and commits, and
of both servers. There are 32 slots; a job's first claim is not among the claims.
"""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from redis import Redis as Client

from benchmarks.scale.ground import (
    LEASE,
    NUMERICS,
    Figure,
    Meter,
    add_job,
    add_worker,
    ledger_on,
    plan_all,
    postgres,
    redis,
    result,
    taken,
)
from core.ledger import Ledger, shards
from core.messages import RenderHint
from core.settings import Settings
from orchestrator.dispatcher import Dispatcher
from orchestrator.publisher import Publisher

_SLOTS = 32
_LOOKS = 32
_OWNERS = 3
_COUNTS = (1, 100, 1000)
_ROUNDS = 5


def measure() -> Iterator[Figure]:
    """Shards of ever more jobs, as many of each count."""
    rounds = list[dict[int, _Cost]]()
    with postgres() as server, redis() as broker:
        servers = (server.process.pid, broker.process.pid)
        settings = Settings(home=Path(), broker_url=broker.url, heartbeat_seconds=LEASE)
        for _ in range(_ROUNDS):
            costs = dict[int, _Cost]()
            for count in _COUNTS:
                with ledger_on(server) as (_, ledger), Client.from_url(broker.url) as client:
                    client.flushall()
                    costs[count] = _run(ledger, client, settings, count, servers)
            rounds.append(costs)
    for count in _COUNTS:
        about, these = f"{count:,} open jobs, a shard:", [costs[count] for costs in rounds]
        over = statistics.median(costs[count].all / costs[_COUNTS[0]].all for costs in rounds)
        for what, found in zip(_Cost._fields, zip(*these, strict=True), strict=True):
            yield Figure(f"{about} {what}".replace("_", " "), statistics.median(found), "ms")
        yield Figure(f"{about} over that of one job", over, "", "at most 1.2")


class _Cost(NamedTuple):
    """Milliseconds of processor time for a shard."""

    dispatcher: float
    its_servers: float
    claim_and_commit: float
    their_servers: float
    all: float


def _run(
    ledger: Ledger, client: "Client", settings: Settings, count: int, servers: tuple[int, int]
) -> _Cost:
    add_worker(ledger, "w1", _SLOTS)
    each = 2 * _SLOTS * (_LOOKS + 2) // count + 4
    for number in range(count):
        job = add_job(ledger, each, f"owner {number % _OWNERS}")
        plan_all(ledger, job)
    with ledger.write() as connection:  # as their first claims would leave them
        begun = f"state = 'running', numerics = '{NUMERICS}', started_at = created_at"
        connection.exec_driver_sql(f"UPDATE jobs SET {begun}")
        connection.exec_driver_sql("ANALYZE")  # as the server does by itself in a minute
    sending, working, sent = Meter(servers), Meter(servers), 0
    with Publisher(settings, settings.broker_url) as publisher:
        dispatcher = Dispatcher(ledger, publisher, settings)
        dispatcher.step()
        _work(ledger, taken(client, settings, 10 * _SLOTS))
        for _ in range(_LOOKS):
            with sending:
                dispatcher.step()
            hints = taken(client, settings, 10 * _SLOTS)
            with working:
                _work(ledger, hints)
            sent += len(hints)
    parts = [part / sent * 1e3 for meter in (sending, working) for part in (meter.own, meter.other)]
    return _Cost(*parts, sum(parts))


def _work(ledger: Ledger, hints: list[RenderHint]) -> None:
    for hint in hints:
        claim = shards.claim(ledger, hint, "w1", NUMERICS, LEASE)
        assert claim
        assert shards.commit(ledger, claim, result(claim, 0.5))
