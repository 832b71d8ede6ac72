"""Of several orchestrators one decides."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.ledger import Ledger, connect
from core.ledger.upgrade import upgrade
from orchestrator.leadership import Leadership


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    upgrade(url)
    opened = connect(url)
    yield opened
    opened.close()


def test_one_leads_until_it_resigns(ledger: Ledger) -> None:
    first, second = Leadership(ledger, "first"), Leadership(ledger, "second")
    for each in (first, second, first):
        each.step()
    assert (first.held, second.held) == (True, False)
    first.resign()
    second.step()
    assert (first.held, second.held) == (False, True)


def test_successor_of_the_same_name_leads_at_once(ledger: Ledger) -> None:
    Leadership(ledger, "this folder").step()
    successor = Leadership(ledger, "this folder")
    successor.step()
    assert successor.held


def test_lease_that_was_not_renewed_in_time_is_not_trusted(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.leadership._SECONDS", 0.0)
    stopped = Leadership(ledger, "stopped")
    stopped.step()
    assert not stopped.held


def test_guarded_step_is_the_leaders_alone(ledger: Ledger) -> None:
    done: list[str] = []

    def step(name: str) -> float:
        done.append(name)
        return 7.0

    leader, follower = Leadership(ledger, "leader"), Leadership(ledger, "follower")
    leader.step()
    follower.step()
    assert leader.guard(lambda: step("leader"))() == 7.0
    assert follower.guard(lambda: step("follower"))() > 0
    assert done == ["leader"]
