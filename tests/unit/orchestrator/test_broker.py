"""The private broker, and words for brokers that refuse us."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.errors import ConflictError, UnreachableError, UsageError
from core.messages import RenderHint
from core.settings import Settings
from orchestrator import broker
from orchestrator.broker import PrivateBroker, socket_path
from orchestrator.publisher import Publisher


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateBroker]:
    server = PrivateBroker(tmp_path, tmp_path / "logs" / "broker.log")
    server.start()
    yield server
    server.stop()


def test_private_broker_is_reached_by_this_user_alone(
    private: PrivateBroker, tmp_path: Path
) -> None:
    broker.check(private.url)
    path = socket_path(tmp_path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert len(os.fsencode(path)) < 100
    with broker.client(private.url) as client:
        pid = int(client.info("server")["process_id"])
    assert not psutil.Process(pid).net_connections("tcp")


def test_private_broker_leaves_nothing_behind(tmp_path: Path) -> None:
    server = PrivateBroker(tmp_path, tmp_path / "broker.log")
    server.start()
    server.stop()
    assert not socket_path(tmp_path).parent.exists()
    with pytest.raises(UnreachableError, match="spritemill up"):
        broker.check(server.url)


def test_private_broker_starts_over_the_socket_of_a_killed_one(tmp_path: Path) -> None:
    path = socket_path(tmp_path)
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    server = PrivateBroker(tmp_path, tmp_path / "broker.log")
    server.start()
    broker.check(server.url)
    server.stop()


def test_orphan_of_a_killed_mill_makes_room(tmp_path: Path) -> None:
    orphan = PrivateBroker(tmp_path, tmp_path / "broker.log")
    orphan.start()
    with broker.client(orphan.url) as client:
        client.set("old", 1)
    successor = PrivateBroker(tmp_path, tmp_path / "broker.log")
    successor.start()
    with broker.client(successor.url) as client:
        assert client.get("old") is None
    successor.stop()
    assert orphan.ended


def test_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    folder = socket_path(tmp_path).parent
    folder.mkdir(mode=0o700)
    folder.chmod(0o755)
    try:
        with pytest.raises(ConflictError, match="private folder"):
            PrivateBroker(tmp_path, tmp_path / "broker.log").start()
    finally:
        folder.rmdir()


def test_hints_wait_in_the_queue_they_were_sent_to(private: PrivateBroker, tmp_path: Path) -> None:
    with Publisher(Settings(home=tmp_path), private.url) as publisher:
        for shard in range(3):
            publisher.send(RenderHint("a" * 12, shard, 0), "render.cpu")
        assert publisher.waiting("render.cpu") == 3
        assert publisher.waiting("render.gpu") == 0


def test_mills_with_other_prefixes_do_not_see_each_others_hints(
    private: PrivateBroker, tmp_path: Path
) -> None:
    ours = Settings(home=tmp_path, broker_prefix="ours:")
    theirs = Settings(home=tmp_path, broker_prefix="theirs:")
    with Publisher(ours, private.url) as here, Publisher(theirs, private.url) as there:
        here.send(RenderHint("a" * 12, 0, 0), "render.cpu")
        assert (here.waiting("render.cpu"), there.waiting("render.cpu")) == (1, 0)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://ann:hidden-word@127.0.0.1:1/0", "refused"),
        ("redis://ann:hidden-word@no-such-host.invalid/0", "not known"),
        ("redis://127.0.0.1:1/0?password=hidden-word", "refused"),
    ],
)
def test_unreachable_broker_is_named_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(UnreachableError, match=reason) as caught:
        broker.check(url)
    assert "hidden-word" not in str(caught.value)
    assert "broker_url" in str(caught.value)


@pytest.mark.parametrize("option", ["socket_timeout=soon", "nonsense=1"])
def test_option_that_the_client_does_not_take_is_named(option: str) -> None:
    with pytest.raises(UsageError, match=option.partition("=")[0]) as caught:
        broker.check(f"redis://:hidden-word@127.0.0.1:1/0?{option}")
    assert "hidden-word" not in str(caught.value)


def test_wrong_password_is_called_that(private: PrivateBroker) -> None:
    with broker.client(private.url) as client:
        client.config_set("requirepass", "right")
    with pytest.raises(UnreachableError, match="password into broker_url"):
        broker.check(private.url)
