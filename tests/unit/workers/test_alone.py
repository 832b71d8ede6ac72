"""A shard that is rendered sample by sample: the same bytes, without the samples that fail."""

from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from core.dataset import parts
from core.dataset.shard import Packed
from core.errors import ModelError
from core.request import load
from core.request.plan import Plan, Sample, Shard, noise_key
from core.request.spec import Request
from core.sprites.given import Given
from core.weights.spec import ModelSpec
from tests.unit.workers.conftest import REQUEST
from tests.unit.workers.test_render import FAST, Heard
from workers.alone import render_alone
from workers.fake_renderer import FakeRenderer
from workers.lease import Paused
from workers.render import render_shard

SHARD = Shard(0, 0, 40)


class FaultyRenderer(FakeRenderer):
    """Raises at named noise keys."""

    def __init__(self, faults: dict[bytes, Exception]) -> None:
        super().__init__(16, FAST)
        self.faults = faults
        self.drawn: list[bytes] = []

    def render(
        self,
        contexts: NDArray[np.float32],
        negatives: NDArray[np.float32] | None,
        keys: Sequence[bytes],
        request: Request,
        on_step: Callable[[], None],
        given: Given | None = None,
    ) -> NDArray[np.uint8]:
        self.drawn += keys
        for key in keys:
            if key in self.faults:
                raise self.faults[key]
        return super().render(contexts, negatives, keys, request, on_step, given)


class Told:
    """What was said of the samples, in order."""

    def __init__(self) -> None:
        self.tried: list[str | None] = []
        self.given_up: dict[str, str] = {}

    def give_up(self, key: str, reason: str) -> None:
        self.given_up[key] = reason


def alone(plan: Plan, renderer: FakeRenderer, told: Told, **before: str) -> Packed:
    return render_alone(plan, SHARD, renderer, Heard(), before, told.tried.append, told.give_up)


def keys(packed: Packed) -> list[str]:
    table, _ = parts.split(pq.read_table(BytesIO(packed.part)))
    return [str(key) for key in table["key"].to_pylist()]


def samples(plan: Plan) -> list[Sample]:
    return list(plan.samples(SHARD))


def test_shard_comes_out_with_the_same_bytes_as_in_tiles(plan: Plan) -> None:
    told = Told()
    assert alone(plan, FaultyRenderer({}), told) == render_shard(
        plan, SHARD, FakeRenderer(16, FAST), Heard()
    )
    assert told.tried == [*(sample.key for sample in samples(plan)), None]


def test_samples_that_fail_are_left_out_and_each_drawing_is_made_once(plan: Plan) -> None:
    bad = [samples(plan)[3], samples(plan)[39]]
    error = ArithmeticError("not finite")
    renderer = FaultyRenderer({sample.noise_key: error for sample in bad})
    told = Told()
    packed = alone(plan, renderer, told)
    reason = "ArithmeticError: not finite"
    assert told.given_up == {sample.key: reason for sample in bad}
    assert keys(packed) == [each.key for each in samples(plan) if each not in bad]
    lost = parts.unfilled(pq.read_table(BytesIO(packed.part)))
    assert [(each.number, each.error) for each in lost] == [(3, reason), (39, reason)]
    assert packed.unfilled == 0
    assert len(renderer.drawn) == len(set(renderer.drawn)) == 40


def test_what_was_given_up_before_is_not_drawn(plan: Plan) -> None:
    gone = samples(plan)[0]
    renderer, told = FaultyRenderer({}), Told()
    packed = alone(plan, renderer, told, **{gone.key: "it kills"})
    assert gone.noise_key not in renderer.drawn
    assert gone.key not in keys(packed)
    assert not told.given_up


def test_sample_that_fails_as_it_is_drawn_anew_for_its_quality_is_left_out(spec: ModelSpec) -> None:
    rules = "quality: {sound: false, cover: [0.99, 1], tries: 2}\n"
    plan = Plan(load.parse(REQUEST + rules), spec)
    bad = samples(plan)[7]
    again = noise_key(7, bad.context.id, bad.index, 1)
    told = Told()
    packed = alone(plan, FaultyRenderer({again: ArithmeticError("not finite")}), told)
    assert list(told.given_up) == [bad.key]
    lost = parts.unfilled(pq.read_table(BytesIO(packed.part)))
    assert {each.key for each in lost if each.error} == {bad.key}
    assert packed.unfilled == len(lost) - 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no more"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"),
        ModelError("not for this sampler"),
        Paused(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_samples_fault_ends_the_shard(plan: Plan, error: Exception) -> None:
    told = Told()
    with pytest.raises(type(error)):
        alone(plan, FaultyRenderer({samples(plan)[3].noise_key: error}), told)
    assert not told.given_up


@pytest.mark.parametrize("before", [False, True])
def test_sample_that_fails_as_a_pilot_too_is_the_shards_failure(
    spec: ModelSpec, before: bool
) -> None:
    plan = Plan(load.parse(REQUEST + "pixels: {palette: 4}\n"), spec)
    bad, told = samples(plan)[3], Told()
    renderer = FaultyRenderer({bad.noise_key: ArithmeticError("not finite")})
    with pytest.raises(ArithmeticError):
        alone(plan, renderer, told, **({bad.key: "it kills"} if before else {}))
    assert list(told.given_up) == ([] if before else [bad.key])
    assert told.tried[-1] is None, "nothing is left to be blamed"


def test_pilot_of_another_shard_is_not_given_up(spec: ModelSpec) -> None:
    plan = Plan(load.parse(REQUEST + "pixels: {palette: 4}\n"), spec)
    other = next(plan.samples(Shard(1, 79, 1)))
    told = Told()
    with pytest.raises(ArithmeticError):
        alone(plan, FaultyRenderer({other.noise_key: ArithmeticError("not finite")}), told)
    assert not told.given_up
