"""A floor with short leases, on SQLite; `both` runs a test on PostgreSQL too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.ledger.upgrade import upgrade
from core.settings import Settings
from tests.integration.workers.floor import Floor


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def settings(tmp_path: Path, ledger_url: str, redis_url: str) -> Settings:
    return Settings(
        home=tmp_path,
        database_url=ledger_url,
        broker_url=redis_url,
        broker_prefix=f"{tmp_path.name}:",
        slots=1,
        lease_seconds=2.0,
        renew_seconds=0.3,
        load_seconds=20.0,
        heartbeat_seconds=0.2,
        grace_seconds=20.0,
        renderer="fake",
        fake_rate=20_000.0,
    )


@pytest.fixture
def floor(settings: Settings) -> Iterator[Floor]:
    upgrade(settings.ledger_url)
    made = Floor(settings)
    yield made
    made.close()
