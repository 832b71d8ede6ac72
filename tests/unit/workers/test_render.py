"""What a shard's bytes depend on, and what they do not."""

from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray

from core.dataset.shard import unpack
from core.request import load
from core.request.plan import Plan
from core.request.spec import Request
from core.sprites.given import Given
from core.weights.spec import ModelSpec
from workers.fake_renderer import FakeRenderer
from workers.render import render_shard

FAST = 1e9


class Heard:
    """Notes how a shard got on."""

    def __init__(self) -> None:
        self.steps = 0
        self.samples: list[int] = []
        self.finished = False

    def step(self) -> None:
        self.steps += 1

    def rendered(self, samples: int) -> None:
        self.samples.append(samples)

    def finishing(self) -> None:
        self.finished = True


class Recording:
    """Notes what it is asked for, and makes empty sprites."""

    tile = 32

    def __init__(self) -> None:
        self.contexts: list[NDArray[np.float32]] = []
        self.negatives: list[NDArray[np.float32] | None] = []
        self.given: list[Given | None] = []

    def render(
        self,
        contexts: NDArray[np.float32],
        negatives: NDArray[np.float32] | None,
        keys: Sequence[bytes],
        request: Request,
        on_step: Callable[[], None],
        given: Given | None = None,
    ) -> NDArray[np.uint8]:
        self.contexts.append(contexts)
        self.negatives.append(negatives)
        self.given.append(given)
        return np.zeros((len(keys), 16, 16, 4), dtype=np.uint8)


def recut(plan: Plan, shard_samples: int) -> Plan:
    outputs = plan.request.outputs.model_copy(update={"shard_samples": shard_samples})
    return Plan(plan.request.model_copy(update={"outputs": outputs}), plan.spec)


def hashes(plan: Plan) -> list[str]:
    found = []
    for number in range(plan.shard_count):
        packed = render_shard(plan, plan.shard(number), FakeRenderer(16, FAST), Heard())
        found += [record.sha256 for record, _ in unpack(BytesIO(packed.tar), 16)]
    return found


def test_same_plan_gives_same_bytes(plan: Plan) -> None:
    first, second = (
        render_shard(plan, plan.shard(1), FakeRenderer(16, FAST), Heard()) for _ in range(2)
    )
    assert (first.tar, first.part, first.digest) == (second.tar, second.part, second.digest)


def test_cut_into_shards_changes_no_sprite(plan: Plan) -> None:
    assert hashes(recut(plan, 7)) == hashes(recut(plan, 80))


def test_every_sample_has_a_sprite_of_its_own(plan: Plan) -> None:
    assert len(set(hashes(plan))) == plan.total == 80


def test_progress_hears_steps_tiles_and_the_end(plan: Plan) -> None:
    heard, whole = Heard(), recut(plan, 80)
    render_shard(whole, whole.shard(0), FakeRenderer(16, FAST), heard)
    assert heard.samples == [32, 64, 80]
    assert heard.steps > len(heard.samples)
    assert heard.finished


def test_progress_ends_a_shard_between_steps(plan: Plan) -> None:
    class Ending(Heard):
        def step(self) -> None:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        render_shard(plan, plan.shard(0), FakeRenderer(16, FAST), Ending())


def test_tile_mixes_contexts_and_negatives(plan: Plan) -> None:
    renderer, whole = Recording(), recut(plan, 80)
    render_shard(whole, whole.shard(0), renderer, Heard())
    mixed, steered = renderer.contexts[1], renderer.negatives[1]
    assert steered is not None
    assert mixed[7].tolist() == [1, 0, 0]
    assert steered[7].tolist() == [0, 0, 0]
    assert mixed[8].tolist() == [1, 0.5, 0]
    assert steered[8].tolist() == [0, 1, 0]


def test_words_are_steered_away_from_their_class_alone(spec: ModelSpec) -> None:
    text = """
    samples: 2
    sampling: {text_guidance: 5}
    contexts:
      - {class: hero, text: blue}
      - {mixture: {hero: 1, potion: 0.5}, text: blue hero}
      - {class: hero, text: blue, negative: {class: potion}}
      - {class: hero, text: blue, negative: {vector: [0, 0, 0]}}
      - {class: hero}
      - {text: blue}
      - {vector: [1, 0, 1]}
    """
    renderer, made = Recording(), Plan(load.parse(text), spec)
    render_shard(made, made.shard(0), renderer, Heard())
    (away,) = renderer.negatives
    assert away is not None
    assert away[::2].tolist() == [[1, 0, 0], [2, 0.5, 0], [0, 1, 0], *[[0, 0, 0]] * 4]


def test_request_without_negatives_steers_nothing(plan: Plan) -> None:
    plain = Plan(plan.request.model_copy(update={"contexts": plan.request.contexts[:1]}), plan.spec)
    renderer = Recording()
    render_shard(plain, plain.shard(0), renderer, Heard())
    assert renderer.negatives == [None] * len(renderer.contexts)


def test_palette_is_applied_to_what_was_rendered(plan: Plan) -> None:
    pixels = plan.request.pixels.model_copy(update={"palette": ("#102030",)})
    snapped = Plan(plan.request.model_copy(update={"pixels": pixels}), plan.spec)
    packed = render_shard(snapped, snapped.shard(0), FakeRenderer(16, FAST), Heard())
    _, picture = next(unpack(BytesIO(packed.tar), 16))
    from PIL import Image

    colours = Image.open(BytesIO(picture)).convert("RGBA").getcolors()
    assert colours is not None
    assert {colour for _, colour in colours} <= {(16, 32, 48, 255), (0, 0, 0, 0)}
