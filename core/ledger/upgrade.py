"""Bringing a database to the tables that this version needs."""

from pathlib import Path

from sqlalchemy import Connection, make_url, text

from core.ledger.engine import Ledger, connect
from core.ledger.schema import HEAD

_LOCK = 7_311_203_594
"""Whoever migrates a PostgreSQL database holds this advisory lock; any number will do."""


def upgrade(url: str) -> None:
    """Create or migrate the ledger at a URL, whole or not at all. Nothing to do is fine.

    Raises as `connect` does, and ConflictError when the ledger is of a newer version.
    """
    path = make_url(url).database
    if url.startswith("sqlite:") and path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    ledger = connect(url, check_schema=False)
    try:
        found = ledger.version()
        if found is None or found < HEAD:
            _migrate(ledger)
        ledger.check_schema()
    finally:
        ledger.close()


def _migrate(ledger: Ledger) -> None:
    with ledger.write() as connection:
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
