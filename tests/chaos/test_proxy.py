"""The proxy spoils what it is told to, and nothing else."""

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnectionError
from redis.exceptions import TimeoutError as NoAnswerError
from redis.retry import Retry

from core.errors import UnreachableError
from core.storage.s3 import S3Store
from tests.chaos.proxy import Proxy, Way
from tests.conftest import Bucket


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with Proxy(urlsplit(redis_url).port or 0) as made:
        yield made


@pytest.fixture
def client(proxy: Proxy, redis_url: str) -> Iterator[Redis]:
    once = Retry(NoBackoff(), 0)
    with Redis.from_url(proxy.address(redis_url), socket_timeout=2.0, retry=once) as made:
        made.ping()
        yield made


def test_delay_holds_back_every_answer(proxy: Proxy, client: Redis) -> None:
    proxy.delay = 0.2
    begun = time.monotonic()
    client.ping()
    assert time.monotonic() - begun >= 0.2


def test_frozen_connection_answers_once_it_thaws(proxy: Proxy, client: Redis) -> None:
    proxy.freeze()
    with pytest.raises(NoAnswerError):
        client.ping()
    proxy.thaw()
    assert client.ping()


def test_reset_and_refused_connections_are_errors_until_accepted_again(
    proxy: Proxy, client: Redis
) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    proxy.refuse()
    for _ in range(2):
        with pytest.raises(NoConnectionError):
            client.ping()
    proxy.accept()
    assert client.ping()


@pytest.mark.parametrize("way", Way)
def test_cut_ends_what_is_longer_and_only_once(proxy: Proxy, client: Redis, way: Way) -> None:
    client.set("sprite", bytes(5000))
    proxy.cut[way] = 2000
    assert client.ping()
    with pytest.raises(NoConnectionError):
        client.set("sprite", bytes(5000)) if way is Way.REQUEST else client.get("sprite")
    assert client.get("sprite") == bytes(5000)
    assert proxy.spoilt == 1


def test_answers_in_place_of_the_store_are_given_as_often_as_ordered(s3: Bucket) -> None:
    with Proxy(urlsplit(s3.server.endpoint).port or 0) as proxy:
        store = S3Store(s3.name, endpoint=proxy.address(s3.server.endpoint))
        store.put("a", b"first")
        proxy.answer(3, "503 Slow Down", "SlowDown")
        with pytest.raises(UnreachableError, match="SlowDown"):
            store.put("a", bytes(200_000))
        assert proxy.unanswered == 0
        proxy.answer(2, "500 Internal Server Error", "InternalError")
        store.put("a", bytes(200_000))
        assert (proxy.spoilt, len(store.get("a"))) == (5, 200_000)
