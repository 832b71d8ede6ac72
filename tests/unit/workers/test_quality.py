"""Which drawing of a sample is kept, and what is told of the others."""

from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from core.dataset import parts
from core.dataset.record import Record
from core.dataset.refusals import of
from core.dataset.shard import Packed, unpack
from core.request import load
from core.request.plan import Plan, Sample, digest, noise_key
from core.request.spec import Request
from core.sprites.given import Given
from core.weights.spec import ModelSpec
from tests.unit.workers.test_render import FAST, Heard
from workers.fake_renderer import FakeRenderer
from workers.render import render_shard


class Drawer:
    """Draws by a sample's noise: `picture` of its 16 bytes. Notes which it was asked for."""

    def __init__(self, picture: Callable[[bytes], NDArray[np.uint8]], tile: int = 32) -> None:
        self.tile = tile
        self.asked: list[bytes] = []
        self._picture = picture

    def render(
        self,
        contexts: NDArray[np.float32],
        negatives: NDArray[np.float32] | None,
        keys: Sequence[bytes],
        request: Request,
        on_step: Callable[[], None],
        given: Given | None = None,
    ) -> NDArray[np.uint8]:
        self.asked += keys
        on_step()
        return np.stack([self._picture(key) for key in keys])


def plan_of(spec: ModelSpec, rules: str, samples: int = 40, shard_samples: int = 80) -> Plan:
    text = f"""
    seed: 7
    samples: {samples}
    contexts: [{{class: hero}}, {{class: potion}}]
    quality: {rules}
    outputs: {{shard_samples: {shard_samples}}}
    """
    return Plan(load.parse(text), spec)


def render(plan: Plan, drawer: Drawer | FakeRenderer, shard: int = 0) -> Packed:
    return render_shard(plan, plan.shard(shard), drawer, Heard())


def records(packed: Packed) -> list[Record]:
    return [record for record, _ in unpack(BytesIO(packed.tar), 16)]


def block(colour: int, cover: int = 8) -> NDArray[np.uint8]:
    """A square of one grey, `cover` of 16 rows high."""
    sprite = np.zeros((16, 16, 4), dtype=np.uint8)
    sprite[:cover] = (colour, colour, colour, 255)
    return sprite


def unlucky(key: bytes) -> bool:
    """Whether a sample's noise is of the quarter that draws badly here."""
    return key[0] < 64


def drawn_well(key: bytes) -> NDArray[np.uint8]:
    return block(key[1], cover=1 if unlucky(key) else 8)


def keys(sample: Sample, tries: int) -> list[bytes]:
    return [noise_key(7, sample.context.id, sample.index, retry) for retry in range(tries)]


def test_refused_sample_is_drawn_again_with_the_noise_of_its_next_retry(spec: ModelSpec) -> None:
    plan = plan_of(spec, "{cover: [0.2, 1], tries: 20}")
    kept = records(render(plan, Drawer(drawn_well)))
    for record, sample in zip(kept, plan.samples(plan.shard(0)), strict=True):
        tried = keys(sample, 20)
        lucky = next(place for place, key in enumerate(tried) if not unlucky(key))
        assert record.seed == tried[lucky].hex()
        assert record.number == sample.number
        assert of(record.scores) == ({"cover": lucky} if lucky else {})
        assert record.scores["cover"] == 0.5


def test_refusals_are_counted_by_rule(spec: ModelSpec) -> None:
    plan = plan_of(spec, "{sound: true, cover: [0.2, 1], tries: 20}")
    packed = render(plan, Drawer(drawn_well))
    tried = [keys(sample, 20) for sample in plan.samples(plan.shard(0))]
    refused = sum(next(n for n, key in enumerate(each) if not unlucky(key)) for each in tried)
    assert packed.refused == {"cover": refused}
    assert refused > 0


@pytest.mark.parametrize("tile", [1, 7, 32, 64])
def test_size_of_tiles_changes_nothing(spec: ModelSpec, tile: int) -> None:
    plan = plan_of(spec, "{cover: [0.2, 1], apart: 3, tries: 5}")
    packed, usual = render(plan, Drawer(drawn_well, tile)), render(plan, Drawer(drawn_well))
    assert packed == usual
    assert packed.refused["apart"] > 0


def test_rules_alone_cut_the_same_sprites_into_any_shards(spec: ModelSpec) -> None:
    whole = plan_of(spec, "{cover: [0.2, 1], tries: 20}")
    parted = plan_of(spec, "{cover: [0.2, 1], tries: 20}", shard_samples=25)
    found = [r for n in range(4) for r in records(render(parted, Drawer(drawn_well), n))]
    assert found == records(render(whole, Drawer(drawn_well)))


def test_sample_that_cannot_be_filled_is_left_out_and_named(spec: ModelSpec) -> None:
    plan = plan_of(spec, "{cover: [0.2, 1], tries: 2}")
    drawer = Drawer(drawn_well)
    packed = render(plan, drawer)
    hopeless = [s for s in plan.samples(plan.shard(0)) if all(map(unlucky, keys(s, 2)))]
    assert 0 < packed.unfilled == len(hopeless)
    assert packed.samples == plan.total - len(hopeless)
    told = parts.unfilled(pq.read_table(pa.BufferReader(packed.part)))
    assert [(each.number, each.key) for each in told] == [(s.number, s.key) for s in hopeless]
    assert {each.reason for each in told} == {"all 2 drawings were refused: cover 2"}
    assert len(drawer.asked) == packed.samples + sum(packed.refused.values())


def test_shard_of_which_nothing_keeps_the_rules_is_empty(spec: ModelSpec) -> None:
    packed = render(plan_of(spec, "{colours: 1, tries: 3}"), FakeRenderer(16, FAST))
    assert (packed.samples, packed.unfilled, packed.refused) == (0, 80, {"colours": 240})
    assert records(packed) == []


def test_of_like_sprites_the_lowest_number_stays(spec: ModelSpec) -> None:
    plan = plan_of(spec, "{apart: 1, tries: 1}")
    packed = render(plan, Drawer(lambda key: block(key[0] % 4 * 50)))
    first: dict[int, int] = {}
    for sample in plan.samples(plan.shard(0)):
        first.setdefault(sample.noise_key[0] % 4, sample.number)
    assert [record.number for record in records(packed)] == sorted(first.values())


def test_retry_is_compared_with_all_that_are_kept(spec: ModelSpec) -> None:
    plan = plan_of(spec, "{apart: 1, tries: 200}", samples=20)
    kept = records(render(plan, Drawer(lambda key: block(key[0] % 64 * 3))))
    assert len({record.sha256 for record in kept}) == len(kept) == 40


def test_rules_that_refuse_nothing_change_no_sprite(spec: ModelSpec) -> None:
    plan = plan_of(spec, "{cover: [0, 1]}")
    plain = Plan(plan.request.model_copy(update={"quality": None}), spec)
    judged, free = render(plan, FakeRenderer(16, FAST)), render(plain, FakeRenderer(16, FAST))
    assert judged.digest == free.digest
    assert {record.scores.keys() == {"cover"} for record in records(judged)} == {True}


def test_progress_never_goes_beyond_the_samples(spec: ModelSpec) -> None:
    plan, heard = plan_of(spec, "{cover: [0.2, 1], tries: 4}"), Heard()
    render_shard(plan, plan.shard(0), Drawer(drawn_well), heard)
    assert heard.samples[:3] == [32, 64, 80]
    assert set(heard.samples[3:]) == {80}
    assert heard.finished


def test_digest_depends_on_rules_but_not_on_when_a_job_pauses(spec: ModelSpec) -> None:
    weights = "0" * 64
    plain = plan_of(spec, "{colours: 4}")
    assert digest(plain, weights) != digest(plan_of(spec, "{colours: 5}"), weights)
    watched = plan_of(spec, "{colours: 4, drift: {refused: 0.5}}")
    assert digest(plain, weights) == digest(watched, weights)


def test_cut_into_shards_counts_only_where_sprites_are_compared(spec: ModelSpec) -> None:
    weights = "0" * 64
    for rules, same in (("{colours: 4}", True), ("{apart: 4}", False)):
        one, other = (digest(plan_of(spec, rules, shard_samples=n), weights) for n in (10, 20))
        assert (one == other) is same
