"""Real servers, each started when the first test asks for it and shared by all that follow."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import pytest
from redis import Redis as RedisClient

from core.settings import Settings
from deploy.servers import Ceph, MissingServerError, Postgres, Redis

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectTypeDef

S = TypeVar("S", Redis, Postgres, Ceph)

# Kernels would be compiled anew for the home of every test; whoever tests them says so.
os.environ["SPRITEMILL_COMPILE"] = "no"


@dataclass(frozen=True, slots=True)
class Bucket:
    """An empty S3 bucket; the environment holds the credentials for it."""

    server: Ceph
    name: str

    @property
    def settings(self) -> Settings:
        return Settings(store_url=f"s3://{self.name}/mill", s3_endpoint=self.server.endpoint)

    def objects(self) -> "list[ObjectTypeDef]":
        """What lies in the bucket, as a plain client sees it."""
        return self.server.client.list_objects_v2(Bucket=self.name).get("Contents", [])


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with _server(Redis) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: Redis) -> str:
    """A Redis that other tests use too: take a key prefix of your own, or `fresh_redis`."""
    return redis_server.url


@pytest.fixture
def fresh_redis(redis_url: str) -> str:
    """A Redis with nothing in it."""
    with RedisClient.from_url(redis_url) as client:
        client.flushall()
    return redis_url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with _server(Postgres) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Postgres) -> str:
    """The server's maintenance database: for tests that need no tables."""
    return postgres_server.url


@pytest.fixture
def fresh_database(postgres_server: Postgres) -> Iterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database, dropped after the test."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Ceph]:
    with _server(Ceph) as server:
        yield server


@pytest.fixture
def s3(s3_server: Ceph, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket on a real S3; child processes inherit the credentials."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in s3_server.credentials.environment().items():
        monkeypatch.setenv(name, value)
    return Bucket(s3_server, s3_server.create_bucket())


@contextmanager
def _server(kind: Callable[[Path], S]) -> Iterator[S]:
    with TemporaryDirectory(prefix="spritemill-server-") as folder:
        try:
            server = kind(Path(folder))
        except MissingServerError as missing:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(missing))
        with server:
            yield server
