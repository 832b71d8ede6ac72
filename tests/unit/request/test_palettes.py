"""Palettes by list, by name and by number."""

import pytest

from core.errors import RequestError
from core.request.load import canonical, check
from core.request.palettes import PALETTES
from core.request.plan import digest, plan
from core.request.spec import Parent, Pixels, Request
from core.weights.spec import ModelSpec


def asked(**pixels: object) -> Request:
    return check({"samples": 4, "contexts": [{"class": "potion"}], "pixels": pixels})


@pytest.mark.parametrize("name", PALETTES)
def test_name_is_the_list_of_its_colours(name: str, spec: ModelSpec) -> None:
    named = asked(palette=name)
    assert isinstance(named.pixels.palette, tuple)
    assert len(set(named.pixels.palette)) == len(named.pixels.palette)
    listed = asked(palette=list(named.pixels.palette))
    assert digest(plan(named, spec), "00") == digest(plan(listed, spec), "00")


@pytest.mark.parametrize(
    ("name", "count"),
    [("pico-8", 16), ("db16", 16), ("db32", 32), ("sweetie-16", 16), ("game-boy", 4)],
)
def test_palettes_have_as_many_colours_as_they_are_known_for(name: str, count: int) -> None:
    palette = Pixels(palette=name).palette
    assert isinstance(palette, tuple)
    assert len(palette) == count


@pytest.mark.parametrize(
    ("palette", "field", "told"),
    [
        ("pico-9", "pixels.palette", "one of pico-8, db16"),
        (0, "pixels.palette", "at least 1"),
        (257, "pixels.palette", "at most 256"),
        (2.5, "pixels.palette", "whole number"),
        ([], "pixels.palette", "empty"),
        (["#000000", "red"], "pixels.palette[1]", "match"),
    ],
)
def test_what_is_no_palette_is_refused_once(palette: object, field: str, told: str) -> None:
    with pytest.raises(RequestError) as refused:
        asked(palette=palette)
    (fault,) = refused.value.faults
    assert fault.field == field
    assert told in fault.problem


def test_number_stays_a_number(spec: ModelSpec) -> None:
    assert '"palette":16' in canonical(plan(asked(palette=16), spec).request)


def test_extension_of_a_dataset_cannot_choose_colours_for_the_whole(spec: ModelSpec) -> None:
    parent = Parent(job="abcdefghijkl", digest="0" * 64, samples=2, shards=1)
    extended = asked(palette=16).model_copy(update={"parent": parent})
    with pytest.raises(RequestError, match=r"pixels.palette = 16: .*list the colours"):
        plan(extended, spec)
