"""Several orchestrators over one PostgreSQL and one Redis."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import ConflictError, UnreachableError
from core.ledger.states import JobState
from core.ledger.upgrade import upgrade
from core.settings import Settings
from orchestrator.mill import Mill
from orchestrator.service import Service
from tests.integration.yard import mill_process, request, settings, until


@pytest.fixture
def shared(tmp_path: Path, fresh_database: str, fresh_redis: str) -> dict[str, Any]:
    """Settings that all of the cluster have in common."""
    upgrade(fresh_database)
    return {
        "database_url": fresh_database,
        "broker_url": fresh_redis,
        "broker_prefix": f"{tmp_path.name}:",
        "store_url": str(tmp_path / "store"),
        "fake_rate": 200.0,
    }


def test_second_orchestrator_takes_over_when_the_leader_is_killed(
    tmp_path: Path, shared: dict[str, Any]
) -> None:
    first = settings(tmp_path / "first", workers=0, **shared)
    second = settings(tmp_path / "second", **shared)
    with mill_process(first) as leader, Mill(second, workers=1) as mill:
        job = mill.service.submit(request(30)).job.id
        until(lambda: mill.service.status(job).job.shards_done, "the leader sends work")
        leader.kill()
        status = mill.service.wait(job)
        assert status.job.state == JobState.SUCCEEDED
        assert mill.service.datasets.verify(job).problems == ()


def test_mill_on_a_database_without_tables_says_what_to_do(
    tmp_path: Path, fresh_database: str
) -> None:
    at = Settings(home=tmp_path, database_url=fresh_database)
    with pytest.raises(ConflictError, match="spritemill db upgrade"):
        Mill(at, workers=0).__enter__()


def test_mill_whose_broker_does_not_answer_says_so_without_its_password(tmp_path: Path) -> None:
    at = Settings(home=tmp_path, broker_url="redis://:hidden-word@127.0.0.1:1/0")
    with pytest.raises(UnreachableError, match="broker_url") as caught:
        Mill(at, workers=0).__enter__()
    assert "hidden-word" not in str(caught.value)


def test_service_on_an_unreachable_database_says_so_without_its_password() -> None:
    at = Settings(database_url="postgresql+psycopg://ann:hidden-word@127.0.0.1:1/none")
    with Service(at) as service, pytest.raises(UnreachableError, match="refused") as caught:
        service.list()
    assert "hidden-word" not in str(caught.value)
