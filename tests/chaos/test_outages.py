"""Servers that fail under a running job cost it time, and nothing else."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from psycopg.sql import SQL, Identifier, Literal

from core.settings import Settings
from deploy.servers import Postgres, Redis
from orchestrator.mill import Mill
from orchestrator.service import Service
from tests.chaos import outages
from tests.chaos.fleet import MARGIN, Fleet, judge
from tests.chaos.outages import Servers, administrator
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

_POINT = "a job under way"

Fault = Callable[[Servers], None]

_FAULTS: dict[str, tuple[Fault, float]] = {
    "Redis killed, started empty": (outages.redis_restarted, RECONNECT),
    "Redis killed for 5 s": (outages.redis_away, RECONNECT),
    "Redis emptied": (outages.redis_flushed, LOST_HINTS),
    "Redis frozen for 5 s": (outages.redis_frozen, LOST_HINTS),
    "Redis unreachable for 5 s": (outages.redis_unreachable, RECONNECT),
    "Redis out of memory for 5 s": (outages.redis_full, LOST_HINTS),
    "PostgreSQL restarted": (outages.postgres_restarted, PAUSE),
    "PostgreSQL killed in a transaction": (outages.postgres_killed, PAUSE),
    "PostgreSQL ends all connections": (outages.postgres_terminates_all, PAUSE),
    "PostgreSQL out of connections for 5 s": (outages.postgres_out_of_connections, PAUSE),
    "PostgreSQL frozen for 5 s": (outages.postgres_frozen, PAUSE),
    "PostgreSQL unheard for 5 s": (outages.postgres_silent, PAUSE),
    "S3 gateway killed for 5 s": (outages.store_restarted, PAUSE),
    "S3 slow: 0.2 s a read": (outages.store_slow, PAUSE),
    "S3 answers 500": (outages.store_errs, PAUSE),
    "S3 answers 503 SlowDown": (outages.store_says_slow_down, PAUSE),
    "S3 resets connections": (outages.store_resets, PAUSE),
    "S3 upload cut in its body": (outages.upload_truncated, PAUSE),
    "S3 answer cut": (outages.answer_truncated, PAUSE),
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
@pytest.mark.parametrize("name", _FAULTS)
def test_server_that_fails_costs_time_only(
    name: str, led: Fleet, servers: Servers, undisturbed: str, tell: Tell
) -> None:
    fault, bound = _FAULTS[name]
    job = _under_way(led)
    fault(servers)
    lost = _until_progress(led, job)
    judge(led, job, undisturbed)
    tell(name, _POINT, lost, bound + MARGIN)


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
    servers.store.hold = b"/work/"
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
