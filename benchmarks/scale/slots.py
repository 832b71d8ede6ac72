"""How busy 256 slots are kept with shards of 20 s by three owners: nothing scaled down.

Workers are simulated: each of two processes plays half of the slots. A free slot takes a message,
claims, waits for 20 s (by chance 16 to 24, for shards are not all alike), renewing every 15 s, and
commits. Busy is a slot from its claim to the moment that its shard is rendered; what it waits for a
message, a claim or a commit is not. Measured after each slot has had two shards.
"""

import heapq
import multiprocessing
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis import Redis as Client

from benchmarks.scale.ground import (
    LEASE,
    NUMERICS,
    Figure,
    add_job,
    add_worker,
    ledger_on,
    postgres,
    processor_seconds,
    redis,
    result,
    taken,
)
from core.ledger import Ledger, connect, shards
from core.ledger.shards import Claim
from core.settings import Settings
from orchestrator.dispatcher import Dispatcher
from orchestrator.publisher import Publisher

_SLOTS, _PROCESSES = 256, 2
_SECONDS, _RENEW = 20.0, 15.0
_WARM, _MEASURED = 45.0, 60.0


def measure() -> Iterator[Figure]:
    """The share of the slots' time that goes to rendering, in a steady backlog."""
    with postgres() as server, redis() as broker, ledger_on(server) as (url, ledger):
        settings = Settings(
            home=Path(), database_url=url, broker_url=broker.url, heartbeat_seconds=LEASE
        )
        for number in range(_SLOTS // 2):
            add_worker(ledger, f"w{number}")
        for owner in ("ann", "ben", "cem"):
            add_job(ledger, 100_000, owner)
        spawn = multiprocessing.get_context("spawn")
        with spawn.Pool(_PROCESSES) as pool:
            begun = time.time()
            asked = [(url, broker.url, number, begun) for number in range(_PROCESSES)]
            playing = pool.starmap_async(_play, asked)
            spent, servers = time.process_time(), processor_seconds(server.process.pid)
            _dispatch(ledger, settings, begun + _WARM + _MEASURED)
            told = playing.get(60)
            spent = time.process_time() - spent
            servers = processor_seconds(server.process.pid) - servers
        busy = sum(each[0] for each in told) / (_SLOTS * _MEASURED)
        done = sum(each[1] for each in told)
        yield Figure("share of 256 slots that render", 100 * busy, "%", "98")
        yield Figure("shards in a second", done / (_WARM + _MEASURED), "shards/s")
        yield Figure("dispatcher, of one core", 100 * spent / (_WARM + _MEASURED), "%")
        yield Figure("PostgreSQL, of one core", 100 * servers / (_WARM + _MEASURED), "%")


def _dispatch(ledger: Ledger, settings: Settings, until: float) -> None:
    wake = threading.Event()
    with Publisher(settings, settings.broker_url) as publisher:
        dispatcher = Dispatcher(ledger, publisher, settings)
        while time.time() < until:
            wake.wait(dispatcher.step())


def _play(url: str, broker_url: str, part: int, begun: float) -> tuple[float, int]:
    """Half of the slots: seconds in which one rendered, once it is steady, and shards done."""
    chance, settings = random.Random(part), Settings(broker_url=broker_url)
    ledger, events, done, busy = connect(url), list[tuple[float, int, Any]](), 0, 0.0
    worker, steady, over = f"w{part}", begun + _WARM, begun + _WARM + _MEASURED
    free, total = 0, _SLOTS // _PROCESSES
    joining = [begun + _SECONDS * number / total for number in range(total)]
    with Client.from_url(broker_url) as client:
        while time.time() < over:
            while joining and joining[0] < time.time():
                free, _ = free + 1, joining.pop(0)
            for hint in taken(client, settings, free) if free else ():
                if claim := shards.claim(ledger, hint, worker, NUMERICS, LEASE):
                    free -= 1
                    start, seconds = time.time(), _SECONDS * chance.uniform(0.8, 1.2)
                    end = start + seconds
                    busy += max(0.0, min(end, over) - max(start, steady))
                    heapq.heappush(events, (start + _RENEW, id(claim), (claim, end)))
            done += _due(ledger, events)
            free = total - len(joining) - len(events)
            time.sleep(0.005)
    ledger.close()
    return busy, done


def _due(ledger: Ledger, events: list[tuple[float, int, tuple[Claim, float]]]) -> int:
    """Renew and commit what is due. How many shards are done."""
    done = 0
    while events and events[0][0] <= time.time():
        moment, key, (claim, end) = heapq.heappop(events)
        if moment >= end:
            done += shards.commit(ledger, claim, result(claim, _SECONDS))
        else:
            shards.renew(ledger, claim, LEASE, 100, _RENEW)
            heapq.heappush(events, (end, key, (claim, end)))
    return done
