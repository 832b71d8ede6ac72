"""What a sprite's scores are, and which rule refuses it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core import weights
from core.errors import RequestError
from core.evaluation.encoder import bundled_encoder
from core.evaluation.neighbours import bundled_neighbours
from core.request import load
from core.request.plan import Plan, digest
from core.request.plan import plan as make_plan
from core.weights.spec import ModelSpec
from tests.unit.workers.test_quality import block, plan_of
from tests.unit.workers.test_render import FAST
from workers.fake_renderer import FakeRenderer
from workers.judge import Judge

ENCODED = """
seed: 7
samples: 3
contexts:
  - class: potion
  - mixture: {potion: 1, weapon: 0.5, armour: -1}
  - text: blue
quality: {agreement: 0.5, novelty: 5}
"""


def faked(plan: Plan, keys: Sequence[bytes]) -> NDArray[np.uint8]:
    contexts = np.zeros((len(keys), 1), dtype=np.float32)
    return FakeRenderer(32, FAST).render(contexts, None, keys, plan.request, lambda: None)


@pytest.fixture
def bundled() -> ModelSpec:
    return weights.read_spec(weights.bundled())


def test_verdict_names_the_first_rule_that_is_broken(spec: ModelSpec) -> None:
    plan = plan_of(spec, "{sound: true, cover: [0.2, 1], colours: 1}")
    assert plan.request.quality is not None
    judge = Judge(plan.request.quality, spec)
    striped = block(10)
    striped[0] = 77, 77, 77, 255
    samples = list(plan.samples(plan.shard(0)))[:4]
    found = judge(samples, np.stack([block(9), block(9, 0), block(9, 2), striped]))
    assert [rule for _, rule in found] == ["", "sound", "cover", "colours"]
    assert found[3][0] == {"largest_piece": 1.0, "cover": 0.5, "colours": 2.0}


def test_scores_by_encoder_are_the_same_beside_whatever(bundled: ModelSpec) -> None:
    plan = Plan(load.parse(ENCODED), bundled)
    assert plan.request.quality is not None
    judge, samples = Judge(plan.request.quality, bundled), list(plan.samples(plan.shard(0)))
    images = faked(plan, [s.noise_key for s in samples])
    together = judge(samples, images)
    assert together == [
        judge([s], image[None])[0] for s, image in zip(samples, images, strict=True)
    ]


def test_agreement_is_with_all_classes_that_are_asked_for(bundled: ModelSpec) -> None:
    plan = Plan(load.parse(ENCODED), bundled)
    assert plan.request.quality is not None
    potion, mixed, text = (list(plan.samples(plan.shard(0)))[n] for n in (0, 3, 6))
    [drawn] = faked(plan, [b"any noise of it."])
    judge = Judge(plan.request.quality, bundled)
    scores = [each for each, _ in judge([potion, mixed, text], np.stack([drawn] * 3))]
    encoder = bundled_encoder()
    odds = dict(zip(encoder.classes, encoder(drawn[None]).probabilities[0].tolist(), strict=True))
    assert scores[0]["agreement"] == pytest.approx(odds["potion"], abs=1e-4)
    assert scores[1]["agreement"] == pytest.approx(odds["potion"] + odds["weapon"], abs=2e-4)
    assert scores[2].keys() == {"novelty"}


def test_copy_of_a_training_sprite_is_refused(bundled: ModelSpec) -> None:
    """An opaque print, enlarged, is a sprite with just this print."""
    plan = Plan(load.parse(ENCODED), bundled)
    assert plan.request.quality is not None
    rules = plan.request.quality.model_copy(update={"agreement": None})
    prints = bundled_neighbours().prints
    opaque = prints[(prints[..., 3] == 255).all(axis=(1, 2))][:2]
    copies = opaque.repeat(4, axis=1).repeat(4, axis=2)
    other = faked(plan, [b"any noise of it."])
    samples = list(plan.samples(plan.shard(0)))[:3]
    found = Judge(rules, bundled)(samples, np.concatenate([copies, other]))
    assert [rule for _, rule in found] == ["novelty", "novelty", ""]
    assert [scores["novelty"] for scores, _ in found[:2]] == [0, 0]


def test_judging_by_encoder_needs_sprites_of_its_size(spec: ModelSpec) -> None:
    text = "samples: 1\ncontexts: [{class: hero}]\nquality: {novelty: 5}"
    with pytest.raises(RequestError, match="judged at 32 x 32 pixels; the model tiny-16 makes 16"):
        make_plan(load.parse(text), spec)


def test_other_judges_make_another_dataset(
    bundled: ModelSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked, plain = ENCODED, ENCODED.replace("{agreement: 0.5, novelty: 5}", "{cover: [0, 1]}")
    before = [digest(Plan(load.parse(text), bundled), "0" * 64) for text in (asked, plain)]
    other = tmp_path / "encoder"
    other.write_bytes(b"other weights")
    monkeypatch.setattr(weights, "judges", lambda: (other,))
    after = [digest(Plan(load.parse(text), bundled), "0" * 64) for text in (asked, plain)]
    assert [one == two for one, two in zip(before, after, strict=True)] == [False, True]
