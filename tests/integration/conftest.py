"""What several of these tests begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.ledger import connect
from core.ledger.upgrade import upgrade
from core.settings import Settings
from orchestrator.broker import PrivateBroker
from orchestrator.publisher import Publisher
from tests.integration.depot import Depot


@pytest.fixture
def depot(tmp_path: Path) -> Iterator[Depot]:
    broker = PrivateBroker(tmp_path, tmp_path / "broker.log")
    broker.start()
    settings = Settings(home=tmp_path, broker_url=broker.url)
    upgrade(settings.ledger_url)
    ledger = connect(settings.ledger_url)
    with Publisher(settings, broker.url) as publisher:
        yield Depot(settings, ledger, publisher)
    ledger.close()
    broker.stop()
