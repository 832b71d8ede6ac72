"""A private Redis, without persistence."""

import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis as Client
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as NoConnectionError

from deploy.servers.process import Process, free_port, program

_CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
save ""
appendonly no
"""


class Redis:
    """Runs while the `with` block does; `process` may be stopped and started inside it."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        password = secrets.token_hex(16)
        self.url = f"redis://:{password}@127.0.0.1:{self._port}/0"
        configuration = folder / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            _CONFIGURATION.format(port=self._port, password=password, folder=folder)
        )
        self.process = Process([program("redis-server"), str(configuration)], folder / "redis.log")

    def start(self) -> None:
        self.process.start(self._answers)

    def stop(self) -> None:
        self.process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        with Client.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except (NoConnectionError, BusyLoadingError):
                return False
