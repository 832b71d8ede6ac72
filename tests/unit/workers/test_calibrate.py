"""How fast a request is rendered here, as `plan` asks."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import ConflictError
from core.request import load
from core.request.plan import Plan
from core.weights.spec import ModelSpec
from tests.unit.workers.conftest import REQUEST
from workers.commands.calibrate import calibrate
from workers.fake_renderer import FakeRenderer

FAST = 1e9


class Counting(FakeRenderer):
    """Keeps how many samples it was given at once."""

    def __init__(self) -> None:
        super().__init__(16, FAST)
        self.tiles: list[int] = []

    def render(self, contexts: NDArray[np.float32], *given: Any, **more: Any) -> NDArray[np.uint8]:
        self.tiles.append(len(contexts))
        return super().render(contexts, *given, **more)


def test_pace_and_size_are_told(plan: Plan) -> None:
    found = calibrate(plan, FakeRenderer(16, FAST))
    assert found["samples_per_second"] > 0
    assert 100 < found["png_bytes"] < 10_000


@pytest.mark.parametrize(("shard", "tiles"), [(5, [5]), (40, [32, 8]), (80, [32, 32])])
def test_measured_are_two_tiles_as_the_jobs_shards_have_them(
    spec: ModelSpec, shard: int, tiles: list[int]
) -> None:
    renderer = Counting()
    outputs = f"outputs: {{shard_samples: {shard}}}\n"
    calibrate(Plan(load.parse(REQUEST + outputs), spec), renderer)
    assert renderer.tiles[1:] == tiles  # the first warms up


def test_rules_that_refuse_everything_are_told(spec: ModelSpec) -> None:
    strict = REQUEST + "quality: {cover: [1, 1], tries: 2}\n"
    with pytest.raises(ConflictError, match=r"refused all of \d+ sprites, each 2 times"):
        calibrate(Plan(load.parse(strict), spec), FakeRenderer(16, FAST))
