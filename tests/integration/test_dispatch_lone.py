"""A fleet of a single slot, where one message waits and a newcomer must not wait for it."""

import pytest

from tests.integration.depot import Depot


class Lone:
    """A single slot that renders a huge job whose next message waits."""

    def __init__(self, depot: Depot, seconds: float | None = 20.0) -> None:
        self.depot = depot
        depot.worker("w1", slots=1)
        self.huge = depot.job(1000)
        depot.dispatcher.step()
        if seconds is not None:
            self.finish(seconds)
        assert depot.claim()
        depot.dispatcher.step()
        assert depot.waiting() == 1

    def finish(self, seconds: float) -> None:
        claim = self.depot.claim()
        assert claim
        self.depot.finish(claim, seconds)
        self.depot.dispatcher.step()

    def next(self) -> str:
        """The job of the next message that is of use."""
        while (claim := self.depot.claim()) is None:
            pass
        return claim.job


@pytest.mark.parametrize("owner", ["ann", "ben"])
def test_newcomer_waits_for_one_shard_of_a_single_slot(depot: Depot, owner: str) -> None:
    lone = Lone(depot)
    small = depot.job(1, owner=owner)
    for _ in range(3):
        depot.dispatcher.step()
    assert lone.next() == small
    depot.dispatcher.step()
    assert lone.next() == lone.huge


def test_newcomers_do_not_overtake_each_other_at_a_single_slot(depot: Depot) -> None:
    lone = Lone(depot)
    first = depot.job(2, owner="ben")
    depot.dispatcher.step()
    second = depot.job(2, owner="eve")
    depot.dispatcher.step()
    assert lone.next() == first
    depot.dispatcher.step()
    assert lone.next() == second


def test_newcomer_of_less_priority_does_not_overtake_at_a_single_slot(depot: Depot) -> None:
    lone = Lone(depot)
    depot.job(1, priority=-1)
    depot.dispatcher.step()
    assert lone.next() == lone.huge


def test_short_shards_are_not_recalled_at_a_single_slot(depot: Depot) -> None:
    lone = Lone(depot, seconds=0.1)
    depot.job(1, owner="ben")
    depot.dispatcher.step()
    assert lone.next() == lone.huge


def test_newcomer_waits_for_one_shard_of_which_nobody_knows_how_long_it_takes(
    depot: Depot,
) -> None:
    lone = Lone(depot, seconds=None)
    small = depot.job(1, owner="ben")
    depot.dispatcher.step()
    assert lone.next() == small
