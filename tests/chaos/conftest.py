"""Fleets on real servers, with leases short enough to lose some."""

import json
import os
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from core.ledger.upgrade import upgrade
from core.settings import Settings
from orchestrator.mill import Mill
from orchestrator.service import Service
from tests.chaos.fleet import LEASE, SHARDS, Fleet, asked
from tests.chaos.table import Tell, Trial, markdown
from tests.conftest import Bucket
from tests.integration.yard import settings

_REPORT = "--chaos-report"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(_REPORT, type=Path, help="folder for the table, as Markdown and JSON")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table of what was tried, and write it where it was asked for."""
    trials = [
        Trial(**told)
        for report in terminalreporter.getreports("passed")
        for name, told in report.user_properties
        if name == "chaos" and report.when == "call"
    ]
    failed = terminalreporter.getreports("failed")
    trials += [Trial(report.nodeid.rpartition("::")[2], "", held=False) for report in failed]
    if not trials:
        return
    table = markdown(trials)
    terminalreporter.section("chaos")
    terminalreporter.write(table)
    if folder := config.getoption(_REPORT, None):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "chaos.md").write_text(table)
        (folder / "chaos.json").write_text(json.dumps([asdict(trial) for trial in trials]))


@pytest.fixture
def tell(record_property: Callable[[str, Any], None]) -> Tell:
    """Puts a run into the table, and checks that what it lost is within its bound."""

    def told(fault: str, point: str, lost: float | None = None, bound: float | None = None) -> None:
        record_property("chaos", asdict(Trial(fault, str(point), True, lost, bound)))
        if lost is not None and bound is not None:
            assert lost <= bound, f"{lost:.1f} s were lost"

    return told


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the dataset as one machine makes it in peace."""
    with Mill(settings(tmp_path_factory.mktemp("peace")), workers=1) as mill:
        digest = mill.service.wait(mill.service.submit(asked()).job.id).job.dataset_digest
    assert digest
    return digest


@pytest.fixture
def at(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    fresh_database: str,
    fresh_redis: str,
    s3: Bucket,
) -> Settings:
    """Settings of a fleet whose ledger is empty; a shard takes half a second."""
    upgrade(fresh_database)
    return settings(
        tmp_path / "home",
        database_url=fresh_database,
        broker_url=fresh_redis,
        broker_prefix=f"{tmp_path.name}:",
        store_url=s3.settings.store_url,
        s3_endpoint=s3.settings.s3_endpoint,
        slots=1,
        fake_rate=128.0,
        lease_seconds=LEASE,
        renew_seconds=LEASE / 4,
        workers=0,
        **getattr(request, "param", {}),
    )


@pytest.fixture
def fleet(tmp_path: Path, at: Settings) -> Iterator[Fleet]:
    """A fleet of nobody yet."""
    with Service(at) as service:
        made = Fleet(at, tmp_path, service)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def led(fleet: Fleet) -> Iterator[Fleet]:
    """A fleet with an orchestrator that nothing happens to."""
    with Mill(fleet.settings, workers=0):
        yield fleet


@pytest.fixture
def victim(request: pytest.FixtureRequest) -> int:
    """The number of the shard to hit: by the seed (CHAOS_SEED) and the test's name."""
    seed = int(os.environ.get("CHAOS_SEED", "0")) + zlib.crc32(request.node.name.encode())
    return random.Random(seed).randrange(SHARDS)
