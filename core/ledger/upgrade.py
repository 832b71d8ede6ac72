"""Bringing a database to the tables that this version needs."""

import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, make_url, text

from core.ledger.engine import Ledger, connect
from core.ledger.schema import HEAD
from core.storage.files import disk_errors, whole_file

_LOCK = 7_311_203_594
"""Whoever migrates a PostgreSQL database holds this advisory lock; any number will do."""

_ALEMBIC = threading.Lock()
"""Its context is one for all threads of a process."""


def upgrade(url: str) -> None:
    """Create or migrate the ledger at a URL, whole or not at all. Nothing to do is fine.

    Raises as `connect` does, and ConflictError when the ledger is of a newer version.
    """
    path = make_url(url).database
    if url.startswith("sqlite:") and path and not Path(path).exists():
        _create(Path(path))
    ledger = connect(url, check_schema=False)
    try:
        found = ledger.version()
        if found is None or found < HEAD:
            _migrate(ledger)
        ledger.check_schema()
    finally:
        ledger.close()


def _create(path: Path) -> None:
    """Make SQLite's file with the tables in it, so that nobody finds it half-made.

    Another process may be first: then that one's is taken.
    """
    ledger = connect("sqlite://", check_schema=False)
    try:
        _migrate(ledger)
        with (
            disk_errors(f"database_url {path}"),
            suppress(FileExistsError),
            whole_file(path, replaces=False) as file,
            ledger.read() as connection,
        ):
            made = cast("sqlite3.Connection", connection.connection.driver_connection)
            file.write(made.serialize())
    finally:
        ledger.close()


def _migrate(ledger: Ledger) -> None:
    with _ALEMBIC, ledger.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        _run(connection)


def _run(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    scripts = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
