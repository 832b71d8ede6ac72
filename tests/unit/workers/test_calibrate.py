"""How fast a request is rendered here, as `plan` asks."""

import pytest

from core.errors import ConflictError
from core.request import load
from core.request.plan import Plan
from core.weights.spec import ModelSpec
from tests.unit.workers.conftest import REQUEST
from workers.commands.calibrate import calibrate
from workers.fake_renderer import FakeRenderer

FAST = 1e9


def test_pace_and_size_are_told(plan: Plan) -> None:
    found = calibrate(plan, FakeRenderer(16, FAST))
    assert found["samples_per_second"] > 0
    assert 100 < found["png_bytes"] < 10_000


def test_rules_that_refuse_everything_are_told(spec: ModelSpec) -> None:
    strict = REQUEST + "quality: {cover: [1, 1], tries: 2}\n"
    with pytest.raises(ConflictError, match=r"refused all of \d+ sprites, each 2 times"):
        calibrate(Plan(load.parse(strict), spec), FakeRenderer(16, FAST))
