"""Who gets a free place."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.fair_share import Candidate, FairShare, may_wait
from tests.unit.orchestrator.floor import Floor, Work

MINUTE = 60.0
OWNERS = ("ann", "ben", "cat", "dan")


def candidate(job: str, owner: str = "ann", **changed: object) -> Candidate:
    values: dict[str, object] = {
        "priority": 0,
        "numerics": "cpu",
        "wanting": 100,
        "under_way": 0,
        "done": 0,
        "spent": 0.0,
        "expected": 1.0,
    }
    return Candidate(job=job, owner=owner, **{**values, **changed})  # type: ignore[arg-type]


def share(asking: list[Candidate], places: dict[str, int]) -> list[str]:
    fair = FairShare()
    fair.settle(asking)
    return fair.share(asking, places)


candidates = st.lists(
    st.builds(
        Candidate,
        job=st.text("abcdefgh", min_size=3, max_size=3),
        owner=st.sampled_from(OWNERS),
        priority=st.integers(-1, 1),
        numerics=st.sampled_from(["cpu", "gpu"]),
        wanting=st.integers(0, 6),
        under_way=st.integers(0, 6),
        done=st.integers(0, 6),
        spent=st.floats(0, 9),
        expected=st.floats(0, 9),
    ),
    max_size=8,
    unique_by=lambda each: each.job,
)
places = st.dictionaries(st.sampled_from(["cpu", "gpu"]), st.integers(0, 12))


@given(candidates, places)
def test_no_place_and_no_shard_is_given_twice(
    asking: list[Candidate], free: dict[str, int]
) -> None:
    given_out = Counter(share(asking, free))
    by_class: Counter[str] = Counter()
    for each in asking:
        assert given_out[each.job] <= each.wanting
        by_class[each.numerics] += given_out[each.job]
    assert all(by_class[numerics] <= free.get(numerics, 0) for numerics in by_class)


@given(candidates, places)
def test_no_place_stays_free_while_a_job_wants_it(
    asking: list[Candidate], free: dict[str, int]
) -> None:
    given_out = Counter(share(asking, free))
    for numerics, count in free.items():
        of_class = [each for each in asking if each.numerics == numerics]
        taken = sum(given_out[each.job] for each in of_class)
        assert taken == min(count, sum(each.wanting for each in of_class))


@given(candidates, places)
def test_lower_priority_waits_until_its_owners_higher_has_all_it_wants(
    asking: list[Candidate], free: dict[str, int]
) -> None:
    given_out = Counter(share(asking, free))
    for low in asking:
        for high in asking:
            alike = (low.owner, low.numerics) == (high.owner, high.numerics)
            if alike and low.priority < high.priority:
                assert given_out[low.job] == 0 or given_out[high.job] == high.wanting


@given(candidates, places)
def test_order_of_the_candidates_does_not_matter(
    asking: list[Candidate], free: dict[str, int]
) -> None:
    assert share(asking, free) == share(asking[::-1], free)


@st.composite
def backlogs(draw: st.DrawFn, slots: st.SearchStrategy[int], longest: float) -> Floor:
    """Owners with weights and endless jobs, of shards as long as may be, on unequal workers."""
    owners = OWNERS[: draw(st.integers(2, 4))]
    weights = {owner: draw(st.sampled_from([1.0, 2.0, 3.0])) for owner in owners}
    jobs = [
        _endless(f"{owner}{number}", owner, draw(st.floats(0.3, longest)))
        for owner in owners
        for number in range(draw(st.integers(1, 3)))
    ]
    count = draw(slots)
    speeds = draw(st.lists(st.sampled_from([0.5, 1.0, 4.0]), min_size=count, max_size=count))
    return Floor(jobs, speeds, weights)


def _endless(name: str, owner: str, mean: float, priority: int = 0) -> Work:
    """Shards of half to one and a half times their mean."""

    def seconds(number: int) -> float:
        return mean * (0.5 + random.Random(f"{name}{number}").random())

    return Work(name, owner, seconds, priority=priority)


@settings(max_examples=20, deadline=None)
@given(backlogs(st.sampled_from([1, 2, 4, 8]), 4.0))
def test_shares_of_any_minute_follow_the_weights(floor: Floor) -> None:
    floor.run(2.5 * MINUTE)
    longest = max(stay.end - stay.start for stay in floor.stays)
    for start in range(30, 90, 5):
        for owner, (got, due) in floor.minute(start).items():
            assert abs(got - due) <= max(0.05 * due, 2 * longest), owner


@settings(max_examples=5, deadline=None)
@given(backlogs(st.just(8), 0.5))
def test_shares_are_within_five_per_cent_where_a_minute_holds_many_shards(floor: Floor) -> None:
    floor.run(1.5 * MINUTE)
    for start in range(10, 20, 5):
        for owner, (got, due) in floor.minute(start).items():
            assert abs(got - due) <= 0.05 * due, owner


@settings(max_examples=25, deadline=None)
@given(backlogs(st.sampled_from([1, 2, 4]), 4.0))
def test_no_owner_waits_longer_than_its_turn_takes(floor: Floor) -> None:
    floor.run(2.5 * MINUTE)
    longest = max(stay.end - stay.start for stay in floor.stays)
    for owner, weight in floor.weights.items():
        served = [stay for stay in floor.stays if stay.work.owner == owner and stay.start > 30]
        turn = longest * (2 + 2 * sum(floor.weights.values()) / weight)
        starts = [30.0, *(stay.start for stay in served), 2.5 * MINUTE]
        assert all(later - sooner <= turn for sooner, later in pairwise(starts)), owner


def test_owner_with_priority_does_not_starve_another() -> None:
    floor = Floor([_endless("a", "ann", 1.0, priority=100), _endless("b", "ben", 1.0)], [1.0] * 4)
    floor.run(2 * MINUTE)
    got, due = floor.minute(60)["ben"]
    assert got == pytest.approx(due, rel=0.05)


@pytest.mark.parametrize("owner", ["ann", "ben"])
@pytest.mark.parametrize("slots", [2, 3, 16])
def test_small_job_beside_a_huge_one_starts_within_one_shards_time(owner: str, slots: int) -> None:
    for begins in range(50, 60):
        huge = _endless("huge", "ann", 8.0)
        small = Work("small", owner, lambda _: 1.0, shards=1, begins=float(begins))
        floor = Floor([huge, small], [1.0] * slots)
        floor.run(100)
        longest = max(stay.end - stay.start for stay in floor.stays if stay.start < begins)
        assert small.starts[0] - begins <= longest


def test_job_limit_of_places_leaves_the_rest_to_others() -> None:
    narrow = Work("narrow", "ann", lambda _: 2.0, most=1)
    floor = Floor([narrow, _endless("wide", "ben", 2.0)], [1.0] * 4)
    floor.run(MINUTE)
    held = sorted((stay.start, stay.end) for stay in floor.stays if stay.work is narrow)
    assert len(held) > 10
    assert all(end <= start for (_, end), (start, _) in pairwise(held))


def test_newcomer_neither_pays_for_the_past_nor_gets_credit_from_it() -> None:
    late = _endless("b", "ben", 1.0)
    late.begins = 2 * MINUTE
    floor = Floor([_endless("a", "ann", 1.0), late], [1.0] * 8, {"ann": 1.0, "ben": 1.0})
    floor.run(4 * MINUTE)
    got, due = floor.minute(125)["ben"]
    assert got == pytest.approx(due, rel=0.05)


def test_short_jobs_in_a_row_get_no_more_than_a_long_one() -> None:
    """Each ends before its shard is set right, and is expected to take what the others do."""
    row = [
        Work(f"b{number}", "ben", lambda _: 4.0, shards=1, begins=number * 1.5)
        for number in range(80)
    ]
    floor = Floor([_endless("a", "ann", 0.5), *row], [1.0] * 4, {"ann": 1.0, "ben": 1.0})
    floor.run(2 * MINUTE)
    got, due = floor.minute(45)["ann"]
    assert got >= 0.9 * due


def test_what_a_shard_took_counts_not_what_was_expected() -> None:
    fair = FairShare()
    slow, quick = candidate("slow", "ann"), candidate("quick", "ben")
    fair.settle([slow, quick])
    assert Counter(fair.share([slow, quick], {"cpu": 2})) == {"slow": 1, "quick": 1}
    slow, quick = slow._replace(done=1, spent=4.0), quick._replace(done=1, spent=1.0)
    fair.settle([slow, quick])
    assert Counter(fair.share([slow, quick], {"cpu": 3})) == {"quick": 3}


@pytest.mark.parametrize(("failures", "given_out"), [(1, {"a": 5, "b": 5}), (0, {"a": 9, "b": 1})])
def test_shard_that_failed_is_paid_for_and_one_that_was_refused_is_not(
    failures: int, given_out: dict[str, int]
) -> None:
    fair, got = FairShare(), Counter[str]()
    for _ in range(10):
        asking = [  # neither has anything under way or done
            candidate("a", "ann", wanting=1, failed=failures * got["a"]),
            candidate("b", "ben", wanting=1, failed=got["b"]),
        ]
        fair.settle(asking)
        got.update(fair.share(asking, {"cpu": 1}))
    assert got == given_out


def test_place_that_was_not_used_is_not_paid_for() -> None:
    fair = FairShare()
    asking = [candidate("a", "ann", expected=9.0), candidate("b", "ben")]
    fair.settle(asking)
    assert fair.share(asking, {"cpu": 1}) == ["a"]
    fair.take_back(asking[0])
    fair.settle(asking)
    assert Counter(fair.share(asking, {"cpu": 2})) == {"a": 1, "b": 1}


def test_new_leader_counts_what_is_under_way() -> None:
    asking = [candidate("long", under_way=4), candidate("short", "ben")]
    assert Counter(share(asking, {"cpu": 6})) == {"short": 5, "long": 1}


def test_shards_that_another_leader_sent_are_not_charged_at_once() -> None:
    fair = FairShare()
    asking = [candidate("a", "ann"), candidate("b", "ben")]
    fair.settle(asking)
    fair.share(asking, {"cpu": 2})
    later = [asking[0]._replace(done=1000, spent=1000.0), asking[1]._replace(done=1, spent=1.0)]
    fair.settle(later)
    assert Counter(fair.share(later, {"cpu": 4})) == {"a": 2, "b": 2}


def test_classes_are_shared_by_themselves() -> None:
    fair = FairShare()
    ann = [candidate("old", "ann", numerics="gpu"), candidate("few", "ann", numerics="cpu")]
    fair.settle(ann)
    fair.share(ann, {"gpu": 100, "cpu": 1})
    both = [*ann, candidate("new", "ben", numerics="gpu")]
    fair.settle(both)
    assert Counter(fair.share(both, {"gpu": 4})) == {"old": 2, "new": 2}


def test_long_shards_leave_a_newcomer_one_slot() -> None:
    assert [may_wait(slots, 20.0) for slots in (1, 2, 8)] == [1, 1, 7]
    assert [may_wait(slots, 0.1) for slots in (1, 2, 8)] == [1, 2, 8]
