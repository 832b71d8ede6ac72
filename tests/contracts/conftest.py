"""An empty ledger on each kind of database."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.ledger import Ledger, connect
from core.ledger.schema import metadata
from core.ledger.upgrade import upgrade
from deploy.servers import Postgres
from tests.contracts.ledger_rows import Rows


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres_server: Postgres) -> str:
    url = postgres_server.create_database()
    upgrade(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a ledger with its tables and nothing in them."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("migrated_database")
    ledger = connect(url)
    with ledger.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    ledger.close()
    return url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = connect(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def rows(ledger: Ledger) -> Rows:
    return Rows(ledger)
