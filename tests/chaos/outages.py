"""What can go wrong with the three servers under a fleet; each fault is over when it returns."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg.sql import SQL, Identifier
from redis import Redis as RedisClient

from deploy.servers import Ceph, Postgres, Redis
from deploy.servers.process import Process
from tests.chaos.proxy import Proxy, Way
from tests.integration.yard import until

AWAY = 5.0
"""Seconds that a server is away: longer than a lease."""


@dataclass(frozen=True, slots=True)
class Servers:
    """The real servers, the proxies by which a fleet reaches them, and the fleet's own database.

    `database` is its address as an administrator, `guest` as the fleet, which is `role` there.
    """

    redis: Redis
    postgres: Postgres
    ceph: Ceph
    broker: Proxy
    ledger: Proxy
    store: Proxy
    database: str
    guest: str
    role: str


def administrator(database: str) -> psycopg.Connection:
    return psycopg.connect(_plain(database), autocommit=True)


def redis_restarted(servers: Servers) -> None:
    """Killed, and back at once without what it held."""
    _kill(servers.redis.process)
    servers.redis.start()


def redis_away(servers: Servers) -> None:
    _kill(servers.redis.process)
    time.sleep(AWAY)
    servers.redis.start()


def redis_flushed(servers: Servers) -> None:
    with RedisClient.from_url(servers.redis.url) as client:
        client.flushall()


def redis_frozen(servers: Servers) -> None:
    with _frozen(servers.redis.process):
        time.sleep(AWAY)


def redis_unreachable(servers: Servers) -> None:
    servers.broker.refuse()
    time.sleep(AWAY)
    servers.broker.accept()


def redis_full(servers: Servers) -> None:
    """It answers, but takes no message."""
    with RedisClient.from_url(servers.redis.url) as client:
        client.config_set("maxmemory", "1")
        time.sleep(AWAY)
        client.config_set("maxmemory", "0")


def postgres_restarted(servers: Servers) -> None:
    servers.postgres.stop()
    servers.postgres.start()


def postgres_killed(servers: Servers) -> None:
    """All of its processes, while a transaction holds the jobs and others wait for it."""
    with (
        administrator(servers.database) as held,
        suppress(psycopg.OperationalError),
        held.transaction(),
    ):
        held.execute("SELECT id FROM jobs FOR UPDATE")
        until(lambda: _waiting(servers), "a transaction waits for the job's row")
        _kill(servers.postgres.process)
    servers.postgres.start()


def postgres_terminates_all(servers: Servers) -> None:
    for _ in range(10):
        _terminate(servers)
        time.sleep(AWAY / 10)


def postgres_out_of_connections(servers: Servers) -> None:
    """Somebody else takes what the fleet's role may have; one whose connection broke gets none."""
    limit = SQL("ALTER ROLE {} CONNECTION LIMIT {}")
    with administrator(servers.database) as admin, ExitStack() as taken:
        admin.execute(limit.format(Identifier(servers.role), 5))
        _terminate(servers)
        with suppress(psycopg.OperationalError):
            while True:
                taken.enter_context(psycopg.connect(_plain(servers.guest)))
        time.sleep(AWAY)
    with administrator(servers.database) as admin:
        admin.execute(limit.format(Identifier(servers.role), -1))


def postgres_frozen(servers: Servers) -> None:
    with _frozen(servers.postgres.process):
        time.sleep(AWAY)


def postgres_silent(servers: Servers) -> None:
    """Packets vanish both ways."""
    servers.ledger.freeze()
    time.sleep(AWAY)
    servers.ledger.thaw()


def store_slow(servers: Servers) -> None:
    servers.store.delay = 0.2
    time.sleep(AWAY)
    servers.store.delay = 0.0


def store_errs(servers: Servers) -> None:
    _answered(servers, "500 Internal Server Error", "InternalError")


def store_says_slow_down(servers: Servers) -> None:
    _answered(servers, "503 Slow Down", "SlowDown")


def store_resets(servers: Servers) -> None:
    for _ in range(20):
        servers.store.reset()
        time.sleep(AWAY / 20)


def store_restarted(servers: Servers) -> None:
    _kill(servers.ceph.gateway)
    time.sleep(AWAY)
    servers.ceph.start_gateway()


def upload_truncated(servers: Servers) -> None:
    """In the middle of a body: its head, and what is not written, are shorter."""
    _cut(servers, Way.REQUEST)


def answer_truncated(servers: Servers) -> None:
    """In the middle of what the finalizer reads."""
    _cut(servers, Way.ANSWER)


def folder_full(folder: Path) -> None:
    """A file takes all the space that there is."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    time.sleep(AWAY)
    filler.unlink()


def _cut(servers: Servers, way: Way) -> None:
    servers.store.cut[way] = 2000
    until(lambda: way not in servers.store.cut, f"a long {way.value} was cut")


def _answered(servers: Servers, status: str, code: str) -> None:
    servers.store.answer(20, status, code)
    until(lambda: not servers.store.unanswered, "the errors were given")


def _kill(process: Process) -> None:
    """A power cut: the server and all that it started."""
    for each in _family(process):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.stop()


@contextmanager
def _frozen(process: Process) -> Iterator[None]:
    family = _family(process)
    for each in family:
        each.suspend()
    try:
        yield
    finally:
        for each in family:
            each.resume()


def _family(process: Process) -> list[psutil.Process]:
    server = psutil.Process(process.pid)
    return [server, *server.children(recursive=True)]


def _plain(url: str) -> str:
    """An address as psycopg wants it."""
    return url.replace("+psycopg", "")


def _terminate(servers: Servers) -> None:
    """Every connection of the fleet."""
    all_of = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
    with administrator(servers.database) as connection:
        connection.execute(all_of, (servers.role,))


def _waiting(servers: Servers) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND wait_event_type = 'Lock'"
    with administrator(servers.database) as connection:
        row = connection.execute(query, (servers.role,)).fetchone()
    return bool(row and row[0])
