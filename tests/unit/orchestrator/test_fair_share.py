"""Who gets a free place."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.fair_share import Candidate, share


def candidate(job: str, owner: str = "ann", **changed: object) -> Candidate:
    values: dict[str, object] = {
        "priority": 0,
        "numerics": "cpu",
        "under_way": 0,
        "wanting": 100,
        "served": 0,
    }
    return Candidate(job=job, owner=owner, **{**values, **changed})  # type: ignore[arg-type]


candidates = st.lists(
    st.builds(
        Candidate,
        job=st.text("abcdefgh", min_size=3, max_size=3),
        owner=st.sampled_from(["ann", "ben", "cat"]),
        priority=st.integers(-1, 1),
        numerics=st.sampled_from(["cpu", "gpu"]),
        under_way=st.integers(0, 6),
        wanting=st.integers(0, 6),
        served=st.integers(0, 9),
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
def test_lower_priority_waits_until_higher_has_all_it_wants(
    asking: list[Candidate], free: dict[str, int]
) -> None:
    given_out = Counter(share(asking, free))
    for low in asking:
        for high in asking:
            if low.numerics == high.numerics and low.priority < high.priority:
                assert given_out[low.job] == 0 or given_out[high.job] == high.wanting


@given(candidates, places)
def test_order_of_the_candidates_does_not_matter(
    asking: list[Candidate], free: dict[str, int]
) -> None:
    assert share(asking, free) == share(reversed(asking), free)


def test_owners_share_evenly_however_many_jobs_each_has() -> None:
    asking = [candidate(f"a{n}", "ann") for n in range(9)] + [candidate("b", "ben")]
    given_out = Counter(share(asking, {"cpu": 10}))
    assert given_out["b"] == 5


def test_job_that_holds_slots_already_waits_for_the_others() -> None:
    asking = [candidate("long", under_way=4), candidate("short")]
    assert Counter(share(asking, {"cpu": 6})) == {"short": 5, "long": 1}


def test_single_slot_goes_round_when_shards_end_between_looks() -> None:
    served = {"a": 0, "b": 0, "c": 0}
    order = []
    for turn in range(1, 7):
        asking = [candidate(job, served=last) for job, last in served.items()]
        (job,) = share(asking, {"cpu": 1})
        served[job] = turn
        order.append(job)
    assert order == ["a", "b", "c", "a", "b", "c"]


def test_full_class_leaves_other_classes_their_places() -> None:
    asking = [candidate("old", numerics="cpu", priority=9), candidate("new", numerics="gpu")]
    assert share(asking, {"cpu": 0, "gpu": 1}) == ["new"]
