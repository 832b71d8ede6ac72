"""The rows of workers: who is there, what each is told, and who is gone."""

import builtins
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from core.errors import NotFoundError
from core.ledger import returns, schema
from core.ledger.clock import now
from core.ledger.engine import Ledger
from core.messages import RenderHint

_workers, _numerics = schema.workers, schema.numerics
_KEPT_SECONDS = 86_400.0


class WorkerState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    GONE = "gone"


class Order(StrEnum):
    """`drain`: finish what you have, then end. `stop`: end within the grace."""

    RUN = "run"
    DRAIN = "drain"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class NewWorker:
    """A worker that starts. `numerics` is the id of `facts`.

    `started` is its process's start, in seconds after the machine's; `memory` is of the device
    that it renders on, in bytes.
    """

    id: str
    host: str
    pid: int
    started: float
    device: str
    numerics: str
    numerics_facts: Mapping[str, Any]
    slots: int
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker's row. `heartbeat_at` and `started_at` are by the database's clock."""

    id: str
    host: str
    pid: int
    started: float
    device: str
    numerics: str
    numerics_facts: Mapping[str, Any]
    slots: int
    state: WorkerState
    order: Order
    heartbeat_at: float
    started_at: float
    samples_done: int
    render_seconds: float
    failures: int
    memory: int


def register(ledger: Ledger, new: NewWorker) -> None:
    """Add a worker that is starting; one that was registered before begins anew."""
    _know(ledger, new.numerics, new.numerics_facts)
    old = (_workers.c.state == WorkerState.GONE) & (_workers.c.heartbeat_at < now() - _KEPT_SECONDS)
    with ledger.write() as connection:
        connection.execute(delete(_workers).where(old | (_workers.c.id == new.id)))
        connection.execute(
            insert(_workers).values(
                id=new.id,
                host=new.host,
                pid=new.pid,
                started=new.started,
                device=new.device,
                numerics=new.numerics,
                slots=new.slots,
                memory=new.memory,
                state=WorkerState.STARTING,
                order=Order.RUN,
                heartbeat_at=now(),
                started_at=now(),
            )
        )


def beat(ledger: Ledger, worker: str, state: WorkerState) -> Order:
    """Say that a worker lives, and hear its order. Raises NotFoundError when it is unknown."""
    beating = update(_workers).where(_workers.c.id == worker).returning(_workers.c.order)
    with ledger.single() as connection:
        told = connection.execute(beating.values(state=state, heartbeat_at=now())).scalar()
    if told is None:
        raise NotFoundError(f"worker {worker}: the ledger knows none.", remedy="Start it anew.")
    return Order(told)


def order(ledger: Ledger, workers: Collection[str], told: Order) -> int:
    """Leave an order for these workers, to be heard at their next beat. How many are there."""
    there = (_workers.c.id.in_(workers), _workers.c.state != WorkerState.GONE)
    with ledger.write() as connection:
        return connection.execute(update(_workers).where(*there).values(order=told)).rowcount


def list(ledger: Ledger) -> builtins.list[Worker]:  # noqa: A001  # read as workers.list
    """All of the last day, in the order of their starts."""
    return _select(ledger)


def live(ledger: Ledger, silent_after: float) -> builtins.list[Worker]:
    """Those that said so within the last `silent_after` seconds."""
    return _select(
        ledger,
        _workers.c.heartbeat_at > now() - silent_after,
        _workers.c.state != WorkerState.GONE,
    )


def silent(ledger: Ledger, silent_after: float) -> builtins.list[Worker]:
    """Those that are not gone, but said nothing for `silent_after` seconds."""
    return _select(
        ledger,
        _workers.c.heartbeat_at <= now() - silent_after,
        _workers.c.state != WorkerState.GONE,
    )


def gone(ledger: Ledger, worker: str) -> None:
    """Note that a worker ended, or is not heard of. What it has leased runs out by itself."""
    leaving = update(_workers).where(_workers.c.id == worker)
    with ledger.write() as connection:
        connection.execute(leaving.values(state=WorkerState.GONE))


def bury(
    ledger: Ledger, workers: Collection[str], *, free: bool = False
) -> builtins.list[RenderHint]:
    """Note that workers are dead and take back what they had leased. Returns those attempts.

    Each counts as a failure of its shard, unless `free`: the whole machine went down.
    """
    taken = []
    for worker in workers:
        taken += returns.bereave(ledger, worker, free=free)
        gone(ledger, worker)
    return taken


def facts(ledger: Ledger, numerics: str) -> dict[str, Any]:
    """What makes up a class of arithmetic. Raises NotFoundError."""
    query = select(_numerics.c.facts).where(_numerics.c.id == numerics)
    with ledger.read() as connection:
        text = connection.execute(query).scalar()
    if text is None:
        raise NotFoundError(f"numerics {numerics}: no worker has registered this class.")
    return dict(json.loads(text))


def _know(ledger: Ledger, numerics: str, known: Mapping[str, Any]) -> None:
    same = select(_numerics.c.id).where(_numerics.c.id == numerics)
    try:
        with ledger.write() as connection:
            if connection.execute(same).first() is None:
                text = json.dumps(dict(known), sort_keys=True)
                connection.execute(insert(_numerics).values(id=numerics, facts=text))
    except IntegrityError:  # a worker of the same class was first
        facts(ledger, numerics)


def _select(ledger: Ledger, *where: ColumnElement[bool]) -> builtins.list[Worker]:
    query = (
        select(_workers, _numerics.c.facts)
        .join(_numerics, _numerics.c.id == _workers.c.numerics)
        .where(*where)
        .order_by(_workers.c.started_at, _workers.c.id)
    )
    with ledger.read() as connection:
        return [_worker(dict(row)) for row in connection.execute(query).mappings()]


def _worker(row: dict[str, Any]) -> Worker:
    facts = json.loads(row.pop("facts"))
    state, order = WorkerState(row.pop("state")), Order(row.pop("order"))
    return Worker(**row, numerics_facts=facts, state=state, order=order)
