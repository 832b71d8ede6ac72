"""What `doctor` finds of each part, ill or well."""

from itertools import islice
from pathlib import Path

import pytest

from core.settings import Settings
from orchestrator import doctor
from orchestrator.service import Service

LIGHT_PARTS = ["ledger", "broker", "store", "workers", "model", "disk"]
"""All but torch, which takes seconds to examine."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", owner="ann", renderer="fake")


def test_doctor_finds_each_part_of_a_new_mill_well_and_writes_no_ledger(
    settings: Settings,
) -> None:
    with Service(settings) as service:
        parts = {health.part: health for health in islice(service.doctor(), len(LIGHT_PARTS))}
    assert list(parts) == LIGHT_PARTS
    assert all(health.ok for health in parts.values())
    assert not (settings.home / "ledger.db").exists()


def test_doctor_names_the_remedy_for_what_is_ill() -> None:
    ill = Settings(
        home=Path("/proc/no-such-home"),
        broker_url="redis://:hidden-word@127.0.0.1:1/0",
        database_url="postgresql+psycopg://ann:hidden-word@127.0.0.1:1/none",
    )
    with Service(ill) as service:
        parts = {health.part: health for health in islice(service.doctor(), len(LIGHT_PARTS))}
    sick = {name for name, health in parts.items() if not health.ok}
    assert {"ledger", "broker", "store", "workers"} <= sick
    assert all(parts[name].remedy for name in sick)
    assert "hidden-word" not in str(parts)


def test_doctor_tells_of_the_other_parts_when_one_is_broken_otherwise(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_TORCH_SECONDS", 0.001)
    settings.home.mkdir(exist_ok=True)
    (settings.home / "ledger.db").write_bytes(b"damaged " * 1000)
    with Service(settings) as service:
        parts = {health.part: health for health in service.doctor()}
    assert list(parts) == [*LIGHT_PARTS, "torch"]
    assert [name for name, health in parts.items() if not health.ok] == [
        "ledger",
        "workers",
        "torch",
    ]
    assert "not a database" in parts["ledger"].detail
    assert "nvidia-smi" in parts["torch"].remedy
