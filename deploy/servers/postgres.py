"""A private PostgreSQL that trades durability for speed, unless it is told not to."""

import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg.sql import SQL, Identifier

from deploy.servers.process import Process, ServerError, free_port, program

_USER = "spritemill"
_QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Postgres:
    """Runs while the `with` block does; `process` may be stopped and started inside it.

    As root, the server runs as the user postgres, who must be able to reach `folder`. A `durable`
    one keeps what it has committed, as a server in earnest does.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._folder = folder
        self._port = free_port()
        self._password = secrets.token_hex(16)
        self._account = "postgres" if os.geteuid() == 0 else None
        options = {
            **({} if durable else _QUICK),
            "port": str(self._port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
        }
        self.process = Process(
            [
                *(_program("postgres"), "-D", str(folder / "data")),
                *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
            ],
            folder / "postgres.log",
            user=self._account,
            stop_signal=signal.SIGINT,
            orphaned="INT",
        )
        self.url = self._url("postgres")

    def start(self) -> None:
        if not (self._folder / "data").exists():
            self._initialise()
        self.process.start(self._answers)

    def stop(self) -> None:
        self.process.stop()

    def create_database(self) -> str:
        """Make an empty database. Returns its SQLAlchemy URL."""
        name = f"test_{secrets.token_hex(6)}"
        with self._connect() as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return self._url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database that `create_database` made, whoever is still connected to it."""
        name = url.rpartition("/")[2]
        with self._connect() as connection:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

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

    def _initialise(self) -> None:
        passwords = self._folder / "password"
        passwords.touch(mode=0o600)
        passwords.write_text(self._password)
        as_user = []
        if self._account:
            for path in (self._folder, passwords):
                shutil.chown(path, self._account, self._account)
            as_user = [
                *(program("setpriv"), f"--reuid={self._account}", f"--regid={self._account}"),
                *("--init-groups", "--"),
            ]
        initdb = [_program("initdb"), "-D", str(self._folder / "data"), "-U", _USER]
        flags = ["--auth=scram-sha-256", f"--pwfile={passwords}", "--no-sync"]
        made = subprocess.run(
            [*as_user, *initdb, *flags, "--encoding=UTF8", "--locale=C.UTF-8"],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise ServerError(f"initdb failed: {made.stderr.strip()}")

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://{_USER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True


def _program(name: str) -> str:
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return program(name, *newest_first)
