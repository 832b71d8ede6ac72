"""Colours of a dataset are a function of the request, whoever renders which of its shards."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.dataset.shard import unpack
from core.request.load import check
from core.request.plan import Plan
from core.weights.spec import ModelSpec
from tests.unit.request.pictures import data, lower_half, sprite
from tests.unit.workers.test_render import FAST, Heard, Recording
from workers.fake_renderer import FakeRenderer
from workers.render import render_samples, render_shard


def plan_of(spec: ModelSpec, shard_samples: int, contexts: Any = None, **pixels: Any) -> Plan:
    values = {
        "samples": 40,
        "contexts": contexts or [{"class": "hero"}, {"class": "potion"}],
        "pixels": pixels,
        "outputs": {"shard_samples": shard_samples},
    }
    return Plan(check(values), spec)


def sprites(plan: Plan, number: int) -> list[NDArray[np.uint8]]:
    packed = render_shard(plan, plan.shard(number), FakeRenderer(16, FAST), Heard())
    pictures = [png for _, png in unpack(BytesIO(packed.tar), 16)]
    return [np.asarray(Image.open(BytesIO(png))) for png in pictures]


def colours(drawn: list[NDArray[np.uint8]]) -> set[tuple[int, ...]]:
    return {
        tuple(c)
        for each in drawn
        for c in each.reshape(-1, 4)[:, :3][each.reshape(-1, 4)[:, 3] > 0]
    }


@pytest.mark.parametrize("pixels", [{"palette": 12}, {"colours": 5}, {"palette": 12, "colours": 5}])
def test_cut_into_shards_and_their_order_change_no_pixel(
    spec: ModelSpec, pixels: dict[str, int]
) -> None:
    large = plan_of(spec, 80, **pixels)
    whole = sprites(large, 0)
    small = plan_of(spec, 16, **pixels)
    backwards = [each for number in range(4, -1, -1) for each in reversed(sprites(small, number))]
    assert all(np.array_equal(a, b) for a, b in zip(whole, reversed(backwards), strict=True))


def test_dataset_has_as_many_colours_as_were_asked(spec: ModelSpec) -> None:
    plan = plan_of(spec, 16, palette=12)
    drawn = [each for number in range(5) for each in sprites(plan, number)]
    assert len(colours(drawn)) == 12
    assert (
        len(colours([each for number in range(5) for each in sprites(plan_of(spec, 16), number)]))
        > 99
    )


def test_each_sprite_has_few_colours_of_its_own(spec: ModelSpec) -> None:
    drawn = sprites(plan_of(spec, 80, colours=5), 0)
    assert max(len(colours([each])) for each in drawn) == 5
    assert len(colours(drawn)) > 12


def test_samples_that_are_rendered_anew_have_the_same_colours(spec: ModelSpec) -> None:
    plan = plan_of(spec, 80, palette=12, colours=5)
    samples = list(plan.samples(plan.shard(0)))[50:53]
    again = render_samples(plan, samples, FakeRenderer(16, FAST), Heard())
    assert np.array_equal(again, np.stack(sprites(plan, 0)[50:53]))


def test_samples_that_colours_are_chosen_of_are_spread_over_all(spec: ModelSpec) -> None:
    plan = plan_of(spec, 80)
    assert [sample.number for sample in plan.spread(4)] == [0, 20, 40, 60]
    assert [sample.number for sample in plan.spread(500)] == list(range(80))


def test_tile_is_of_samples_that_walk_the_same_steps(spec: ModelSpec, tmp_path: Path) -> None:
    picture, mask = data(sprite(16), tmp_path), data(lower_half(16), tmp_path)
    plan = plan_of(
        spec,
        200,
        [
            {"class": "hero"},
            {"class": "potion"},
            {"class": "hero", "image": picture, "mask": mask},
            {"class": "hero", "image": picture, "strength": 0.5},
            {"class": "potion", "image": picture, "strength": 0.5},
        ],
    )
    renderer = Recording()
    packed = render_shard(plan, plan.shard(0), renderer, Heard())
    assert packed.samples == 200
    assert [len(each) for each in renderer.contexts] == [32, 32, 16, 32, 8, 32, 32, 16]
    given = renderer.given
    assert [each and each.share for each in given] == [None] * 3 + [1.0] * 2 + [0.5] * 3
    assert given[3] is not None
    assert np.array_equal(given[3].keep[0], lower_half(16) == 0)
    assert given[5] is not None
    assert not given[5].keep.any()
    assert np.array_equal(given[5].images[31], sprite(16))
