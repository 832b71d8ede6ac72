from typing import Any

import pytest

from core.errors import RequestError
from core.request import extension
from core.request.estimate import estimate
from core.request.load import canonical, check, parse
from core.request.plan import Plan, Sample, Shard, digest, plan
from core.request.spec import Parent, Request
from core.weights.spec import ModelSpec
from tests.unit.dataset.bench import SPEC

POTION: dict[str, Any] = {"class": "potion"}
PRODUCT: dict[str, Any] = {"product": {"class": ["hero", "weapon"], "text": ["red", "blue"]}}
TOLD: dict[str, Any] = {"seed": 7, "samples": 40, "contexts": [POTION, PRODUCT]}


def planned(values: dict[str, Any] | Request, spec: ModelSpec = SPEC) -> Plan:
    return plan(values if isinstance(values, Request) else check(values), spec)


def base(made: Plan) -> Parent:
    shards = made.kept_shards + made.shard_count
    return Parent(job="abcdefghij23", digest="0" * 64, samples=made.total, shards=shards)


def child(parent: Plan, wanted: dict[str, Any]) -> Plan:
    """The plan of a dataset that extends another's, by way of the text that the ledger keeps."""
    asked = extension.inherited(parent.request, check(wanted))
    request = extension.extended(parent.request, base(parent), asked)
    return planned(parse(canonical(request)))


def samples(made: Plan) -> list[Sample]:
    return list(made.samples(Shard(0, 0, made.total)))


def identities(made: Plan) -> list[tuple[int, str, int, bytes]]:
    return [(s.number, s.context.id, s.index, s.noise_key) for s in samples(made)]


def test_extended_plan_keeps_every_sample_and_its_number() -> None:
    parent = planned(TOLD)
    made = child(parent, {"samples": 60, "contexts": [POTION, PRODUCT]})
    assert identities(made)[: parent.total] == identities(parent)
    assert (made.kept, made.new, made.total) == (200, 100, 300)


def test_extended_plan_has_the_samples_that_asking_for_all_at_once_has() -> None:
    parent = planned(TOLD)
    made = child(parent, {"samples": 60, "contexts": [POTION, PRODUCT]})
    whole = planned({**TOLD, "samples": 60})
    assert {s.key: s.noise_key for s in samples(made)} == {
        s.key: s.noise_key for s in samples(whole)
    }


def test_new_shards_are_numbered_on() -> None:
    parent = planned({**TOLD, "outputs": {"shard_samples": 64}})
    made = child(parent, {"samples": 41, "contexts": [POTION, PRODUCT]})
    assert parent.shard_count == 4
    assert made.shard(0) == Shard(4, 200, 5)


def test_contexts_that_ask_for_less_stay_as_they_are() -> None:
    parent = planned(TOLD)
    made = child(parent, {"contexts": [{**POTION, "samples": 50}, {"class": "hero", "samples": 3}]})
    assert [(context.label, count) for context, count in made.contexts()] == [
        ("potion", 50),
        ('hero "red"', 40),
        ('hero "blue"', 40),
        ('weapon "red"', 40),
        ('weapon "blue"', 40),
        ("hero", 3),
    ]
    assert made.context_count == 6


def test_product_that_is_there_in_part_is_filled_up() -> None:
    parent = planned({"samples": 10, "contexts": [{"class": "hero", "text": "red"}]})
    made = child(parent, {"samples": 15, "contexts": [PRODUCT]})
    assert [(context.label, count) for context, count in made.contexts()] == [
        ('hero "red"', 15),
        ('hero "blue"', 15),
        ('weapon "red"', 15),
        ('weapon "blue"', 15),
    ]


def test_extension_of_an_extension_goes_on_where_that_ends() -> None:
    parent = planned(TOLD)
    first = child(parent, {"samples": 60, "contexts": [POTION, PRODUCT]})
    second = child(first, {"samples": 70, "contexts": [POTION]})
    assert identities(second)[: first.total] == identities(first)
    assert [s.index for s in samples(second)[first.total :]] == list(range(60, 70))


def test_more_asks_each_context_for_so_many() -> None:
    parent = planned(TOLD)
    first = child(parent, {"samples": 60, "contexts": [POTION, PRODUCT]})
    asked = extension.more(first.request, 80)
    made = planned(extension.extended(first.request, base(first), asked))
    assert {count for _, count in made.contexts()} == {80}
    assert asked.parent is None, "an extension's own parent is not the one to extend"


def test_what_is_left_out_is_the_parents() -> None:
    parent = planned({**TOLD, "sampling": {"steps": 9}, "pixels": {"alpha": "soft"}})
    made = child(parent, {"samples": 41, "contexts": [POTION]})
    assert made.request.seed == 7
    assert made.request.sampling.steps == 9
    assert made.request.pixels.alpha == "soft"


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", 8), ("sampling", {"steps": 10}), ("pixels", {"alpha": "opaque"}), ("model", "other")],
)
def test_what_would_change_the_old_sprites_is_refused(field: str, value: object) -> None:
    parent = planned(TOLD)
    with pytest.raises(RequestError) as refused:
        child(parent, {"samples": 41, "contexts": [POTION], field: value})
    assert [fault.field for fault in refused.value.faults] == [field]


def test_saying_what_the_parent_has_is_no_fault() -> None:
    parent = planned(TOLD)
    same = {"seed": 7, "sampling": {"steps": 12}, "pixels": {"alpha": "binary"}}
    assert child(parent, {"samples": 41, "contexts": [POTION], **same}).new == 1


def test_asking_for_nothing_new_is_refused() -> None:
    with pytest.raises(RequestError, match="has all of that already"):
        child(planned(TOLD), {"samples": 40, "contexts": [POTION]})


def test_entry_must_go_on_where_its_context_ends() -> None:
    for first in (39, 41):
        entries = [POTION, {**POTION, "first": first}]
        with pytest.raises(RequestError, match=r"first: 40") as refused:
            planned({"samples": 40, "contexts": entries})
        assert refused.value.faults[0].field == "contexts[1].first"


def test_entry_that_goes_on_from_nothing_is_refused() -> None:
    with pytest.raises(RequestError, match="Leave it out"):
        planned({"samples": 40, "contexts": [{**POTION, "first": 3}]})


def test_request_that_lists_other_entries_than_its_parent_is_told() -> None:
    parent = planned(TOLD)
    made = child(parent, {"samples": 60, "contexts": [POTION, PRODUCT]})
    assert extension.begins_with(made.request, parent.request)
    other = planned({**TOLD, "contexts": [PRODUCT, POTION]})
    assert not extension.begins_with(made.request, other.request)


def test_digest_follows_the_parents_and_not_the_place_where_it_lies() -> None:
    parent = planned(TOLD)
    made = child(parent, {"samples": 60, "contexts": [POTION, PRODUCT]})
    found = made.request.parent
    assert isinstance(found, Parent)

    def with_parent(**changes: str) -> str:
        moved = found.model_copy(update=changes)
        return digest(planned(made.request.model_copy(update={"parent": moved})), "1" * 64)

    assert with_parent(job="zzzzzzzzzzzz") == digest(made, "1" * 64)
    assert with_parent(digest="2" * 64) != digest(made, "1" * 64)


def test_estimate_of_an_extension_is_of_what_is_new() -> None:
    parent = planned(TOLD)
    made = child(parent, {"samples": 60, "contexts": [POTION, PRODUCT]})
    found = estimate(made, rate=10, png_bytes=1000)
    assert (found.samples, found.new) == (made.total, made.total - parent.total)
    assert found.worker_seconds == found.seconds == (made.total - parent.total) / 10
