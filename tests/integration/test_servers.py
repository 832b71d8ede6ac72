"""The servers that tests run against are private, and do not outlive who started them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest
from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from deploy.servers import MissingServerError, Redis
from deploy.servers.process import program

ROOT = Path(__file__).parents[2]
START_AND_WAIT = """
import pathlib, sys
from deploy.servers import {kind}
with {kind}(pathlib.Path(sys.argv[1])) as server:
    print(server.process.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """Where the user postgres can reach it, unlike pytest's own folders when root runs them."""
    with TemporaryDirectory(prefix="spritemill-server-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("kind", ["Redis", "Postgres"])
def test_server_ends_when_its_starter_is_killed(kind: str, server_folder: Path) -> None:
    script = [sys.executable, "-c", START_AND_WAIT.format(kind=kind), str(server_folder)]
    with subprocess.Popen(script, cwd=ROOT, stdin=PIPE, stdout=PIPE) as starter:
        assert starter.stdout is not None
        server = psutil.Process(int(starter.stdout.readline()))
        family = [server, *server.children(recursive=True)]
        starter.kill()
    assert psutil.wait_procs(family, timeout=20)[1] == []


def test_passwords_are_asked_for(redis_server: Redis, postgres_url: str) -> None:
    host = redis_server.url.rpartition("@")[2]
    stranger = Client.from_url(f"redis://{host}", retry=Retry(NoBackoff(), 0))
    with stranger, pytest.raises(AuthenticationError):
        stranger.ping()
    host = postgres_url.rpartition("@")[2]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"postgresql://spritemill@{host}")


def test_missing_program_tells_how_to_install_it() -> None:
    with pytest.raises(MissingServerError, match=r"deploy/install-test-servers\.sh"):
        program("no-such-server")


def test_fresh_redis_holds_nothing_of_other_tests(fresh_redis: str) -> None:
    with Client.from_url(fresh_redis) as client:
        assert client.dbsize() == 0
        client.set("left behind", "by this test")


def test_servers_run_a_command_and_give_back_its_status() -> None:
    check = "import os, sys; sys.exit(os.environ['SPRITEMILL_BROKER_URL'].startswith('redis') * 7)"
    command = [sys.executable, "-m", "deploy.servers", sys.executable, "-c", check]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 7
