import hashlib
from io import BytesIO

import numpy as np
import pytest

from core.dataset import png
from core.dataset.shard import unpack
from core.request.load import parse
from core.request.plan import Plan, Shard
from tests.unit.dataset.bench import REQUEST, SPEC
from workers.commands.regenerate import answer
from workers.fake_renderer import FakeRenderer


@pytest.fixture
def plan() -> Plan:
    return Plan(parse(REQUEST), SPEC)


def test_sprite_alone_is_the_one_of_its_shard(plan: Plan) -> None:
    renderer = FakeRenderer(32, rate=1e9)
    tar = answer({"shard": [32, 32]}, plan, renderer)
    pairs = list(unpack(BytesIO(tar), 32))
    assert [record.number for record, _ in pairs] == list(range(32, 64))
    wanted = [[record.number, record.seed] for record, _ in pairs[5:40:7]]
    raw = answer({"sprites": wanted}, plan, renderer)
    alone = np.frombuffer(raw, dtype=np.uint8).reshape(len(wanted), 32, 32, 4)
    for image, (_, picture) in zip(alone, pairs[5:40:7], strict=True):
        assert np.array_equal(image, png.decode(picture, 32))


def test_seed_of_the_record_decides_and_not_the_first_drawings(plan: Plan) -> None:
    renderer = FakeRenderer(32, rate=1e9)
    first = next(plan.samples(Shard(0, 3, 1))).noise_key.hex()
    other = hashlib.sha256(b"another drawing").hexdigest()[:32]
    raw = answer({"sprites": [[3, first], [3, other]]}, plan, renderer)
    one, two = np.frombuffer(raw, dtype=np.uint8).reshape(2, 32, 32, 4)
    assert not np.array_equal(one, two)
