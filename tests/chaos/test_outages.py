"""Servers that fail under a running job cost it time, and nothing else."""

import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from psycopg.sql import SQL, Identifier, Literal

from core.faults import Point
from core.settings import Settings
from deploy.servers import Postgres, Redis
from orchestrator.mill import Mill
from orchestrator.service import Service
from tests.chaos import outages
from tests.chaos.fleet import MARGIN, Fleet, judge
from tests.chaos.outages import Servers, administrator
from tests.chaos.plan import Fault
from tests.chaos.proxy import Proxy
from tests.chaos.table import Tell
from tests.conftest import Bucket
from tests.integration.yard import until

RECONNECT = 12.0
"""A worker's pauses between attempts to reach a broker grow by 2 s each: 2, 4, 6."""
LOST_HINTS = 6.0
"""Until the orchestrator is sure that messages were lost."""

PAUSE = 10.0
"""The longest pause of a worker between two tries; a finalizing from its beginning, too."""

BITE = 0.5
"""Seconds into a harm at which who was held at a point goes on: into the midst of it."""

_POINT = "a job under way"
_WORKERS = [point for point in Point if point.startswith("worker.")]
_ORCHESTRATORS = [point for point in Point if point.startswith("orchestrator.")]


@dataclass(frozen=True, slots=True)
class Outage:
    """A harm to a server, the seconds that may go by after it, and the last point of an
    orchestrator where that server is still asked for what the harm spoils.
    """

    harm: Callable[[Servers], None]
    bound: float
    last: Point = Point.SUCCEEDED

    def point(self, number: int, points: Sequence[Point]) -> Point:
        """One of the points, another for each number."""
        able = points[: points.index(self.last) + 1] if self.last in points else points
        return able[number % len(able)]


_OUTAGES = {
    "Redis killed, started empty": Outage(outages.redis_restarted, RECONNECT),
    "Redis killed for 5 s": Outage(outages.redis_away, RECONNECT),
    "Redis emptied": Outage(outages.redis_flushed, LOST_HINTS),
    "Redis frozen for 5 s": Outage(outages.redis_frozen, LOST_HINTS),
    "Redis unreachable for 5 s": Outage(outages.redis_unreachable, RECONNECT),
    "Redis out of memory for 5 s": Outage(outages.redis_full, LOST_HINTS),
    "PostgreSQL restarted": Outage(outages.postgres_restarted, PAUSE),
    "PostgreSQL killed in a transaction": Outage(outages.postgres_killed, PAUSE, Point.REMOVED),
    "PostgreSQL ends all connections": Outage(outages.postgres_terminates_all, PAUSE),
    "PostgreSQL out of connections for 5 s": Outage(outages.postgres_out_of_connections, PAUSE),
    "PostgreSQL frozen for 5 s": Outage(outages.postgres_frozen, PAUSE),
    "PostgreSQL unheard for 5 s": Outage(outages.postgres_silent, PAUSE),
    "S3 gateway killed for 5 s": Outage(outages.store_restarted, PAUSE, Point.REMOVED),
    "S3 slow: 0.2 s a read": Outage(outages.store_slow, PAUSE, Point.REMOVED),
    "S3 answers 500": Outage(outages.store_errs, PAUSE, Point.STORED),
    "S3 answers 503 SlowDown": Outage(outages.store_says_slow_down, PAUSE, Point.STORED),
    "S3 resets connections": Outage(outages.store_resets, PAUSE, Point.REMOVED),
    "S3 upload cut in its body": Outage(outages.upload_truncated, PAUSE, Point.COMPOSED),
    "S3 answer cut": Outage(outages.answer_truncated, PAUSE, Point.FINALIZING),
}


@pytest.fixture
def servers(
    fresh_database: str, redis_server: Redis, postgres_server: Postgres, s3: Bucket
) -> Iterator[Servers]:
    """Proxies before the real servers, and a role of the database that is no administrator's."""
    role, password = f"fleet_{secrets.token_hex(6)}", secrets.token_hex(16)
    names = {"role": Identifier(role), "name": Identifier(fresh_database.rpartition("/")[2])}
    with administrator(fresh_database) as admin:
        made = SQL("CREATE ROLE {role} LOGIN PASSWORD {password}")
        admin.execute(made.format(password=Literal(password), **names))
        # a crash must not lose what was committed, as it does where speed is all that counts
        admin.execute(SQL("ALTER DATABASE {name} SET synchronous_commit = on").format(**names))
    user = f"{urlsplit(fresh_database).username}:{urlsplit(fresh_database).password}@"
    guest = fresh_database.replace(user, f"{role}:{password}@")
    with (
        Proxy(_port(redis_server.url)) as broker,
        Proxy(_port(fresh_database)) as ledger,
        Proxy(_port(s3.server.endpoint)) as store,
    ):
        yield Servers(
            redis_server, postgres_server, s3.server, broker, ledger, store,
            database=fresh_database, guest=ledger.address(guest), role=role,
        )  # fmt: skip


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, where we may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def at(at: Settings, servers: Servers) -> Settings:
    """Through the proxies; a shard takes two seconds."""
    with administrator(servers.database) as admin:
        for kind in ("TABLES", "SEQUENCES"):
            grant = SQL(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {{}}")
            admin.execute(grant.format(Identifier(servers.role)))
    return replace(
        at,
        fake_rate=32.0,
        lease_seconds=10.0,  # a worker that hears nothing for two leases would end itself
        renew_seconds=1.0,
        database_url=servers.guest,
        broker_url=servers.broker.address(at.broker_url),
        s3_endpoint=servers.store.address(at.s3_endpoint),
    )


@pytest.mark.chaos
@pytest.mark.parametrize("name", _OUTAGES)
def test_server_that_fails_at_a_point_of_a_worker_costs_time_only(
    name: str, number: int, led: Fleet, servers: Servers, undisturbed: str, victim: int, tell: Tell
) -> None:
    outage = _OUTAGES[name]
    held = led.fault(outage.point(number, _WORKERS), "hold", victim)
    led.worker(held, slots=2)
    lost = _harmed(led, held, outage, servers, undisturbed)
    tell(name, held.point, lost, outage.bound + MARGIN)


@pytest.mark.chaos
@pytest.mark.parametrize("name", _OUTAGES)
def test_server_that_fails_at_a_point_of_an_orchestrator_costs_time_only(
    name: str, number: int, fleet: Fleet, servers: Servers, undisturbed: str, tell: Tell
) -> None:
    outage = _OUTAGES[name]
    held = fleet.fault(outage.point(number, _ORCHESTRATORS), "hold")
    fleet.mill(held)
    fleet.worker(slots=2)
    lost = _harmed(fleet, held, outage, servers, undisturbed)
    tell(name, held.point, lost, outage.bound + MARGIN)


def test_all_servers_that_fail_in_turn_cost_time_only(
    led: Fleet, servers: Servers, undisturbed: str, tell: Tell
) -> None:
    job = _under_way(led)
    outages.upload_truncated(servers)
    outages.postgres_killed(servers)
    outages.redis_restarted(servers)
    lost = _until_progress(led, job)
    judge(led, job, undisturbed)
    tell("S3 upload cut, PostgreSQL and Redis killed", _POINT, lost, RECONNECT + MARGIN)


@pytest.mark.chaos
def test_upload_that_ends_when_the_job_is_over_leaves_nothing(
    led: Fleet, servers: Servers, undisturbed: str, tell: Tell
) -> None:
    """A worker sleeps in the middle of it, the network keeps what was sent, and both wake."""
    servers.store.hold = b"work/"
    sleeper = led.worker()
    job = led.submit()
    until(lambda: servers.store.held, "a part of the index is on its way")
    sleeper.signal(signal.SIGSTOP)
    led.worker()
    judge(led, job, undisturbed)
    servers.store.let_go()
    sleeper.signal(signal.SIGCONT)
    until(lambda: sleeper.events("shard.fenced"), "fenced")
    judge(led, job, undisturbed)
    tell("SIGSTOP past the job's end, of a worker", "an upload on its way")


@pytest.mark.chaos
def test_full_folder_costs_time_only(
    fleet: Fleet, small_disk: Path, undisturbed: str, tell: Tell
) -> None:
    store = replace(fleet.settings, store_url=str(small_disk))
    with Service(store) as service, Mill(store, workers=0):
        full = Fleet(store, fleet.folder, service, fleet.hands)
        job = _under_way(full)
        outages.folder_full(small_disk)
        lost = _until_progress(full, job)
        judge(full, job, undisturbed)
    tell("store's folder full for 5 s", _POINT, lost, PAUSE + MARGIN)


@pytest.fixture
def number(name: str) -> int:
    """Which point an outage hits: others with other seeds (CHAOS_SEED), all in eight in a row."""
    return int(os.environ.get("CHAOS_SEED", "0")) + list(_OUTAGES).index(name)


def _harmed(fleet: Fleet, held: Fault, outage: Outage, servers: Servers, undisturbed: str) -> float:
    """Harm a server while somebody is held at a point, who goes on in the midst of it, or just
    after what takes no time. The seconds lost from the harm's end on.
    """
    job = fleet.submit()
    until(lambda: held.fired, f"held at {held.point}")
    going_on = threading.Timer(BITE, held.release)
    going_on.start()
    outage.harm(servers)
    over = time.monotonic()
    going_on.join()
    _until_progress(fleet, job)
    lost = time.monotonic() - over
    judge(fleet, job, undisturbed)
    return lost


def _under_way(fleet: Fleet) -> str:
    """A job of a new worker with two slots, of which a shard is done."""
    fleet.worker(slots=2)
    job = fleet.submit()
    until(lambda: fleet.service.status(job).job.shards_done, "the first shard is done")
    return job


def _until_progress(fleet: Fleet, job: str) -> float:
    """Seconds until one more shard is done, or the job."""
    begun = time.monotonic()
    before = fleet.service.job(job)

    def further() -> bool:
        now = fleet.service.job(job)
        return now.shards_done > before.shards_done or now.state != before.state

    if before.finished_at is None:
        until(further, "the job goes on")
    return time.monotonic() - begun


def _port(url: str) -> int:
    return urlsplit(url).port or 0
