"""What a request leaves out of its sampling, and what a model cannot do."""

from typing import Any

import pytest

from core.errors import RequestError
from core.request.estimate import estimate
from core.request.load import canonical, check
from core.request.plan import Plan, plan
from core.request.sampling import idle, in_words
from core.request.spec import Sampling
from core.weights.spec import ModelSpec


def made(spec: ModelSpec, **sampling: Any) -> Plan:
    contexts = [{"class": "hero"}]
    return plan(check({"samples": 1, "contexts": contexts, "sampling": sampling}), spec)


@pytest.fixture
def discrete(spec: ModelSpec) -> ModelSpec:
    """A model with 300 discrete times."""
    betas = {"timesteps": 300, "start": 1e-4, "end": 0.02}
    values = spec.model_dump() | {"network": "context-unet", "betas": betas}
    return ModelSpec.model_validate(values)


def test_words_have_the_models_guidance_unless_another_is_asked_for(spec: ModelSpec) -> None:
    defaults = spec.defaults.model_copy(update={"text_guidance": 5.0})
    worded = spec.model_copy(update={"defaults": defaults})
    for asked, model, found in (
        ({}, spec, None),
        ({}, worded, 5),
        ({"steps": 3}, worded, 5),
        ({"guidance": 3}, worded, None),
        ({"text_guidance": 7}, worded, 7),
        ({"guidance": 3, "text_guidance": 7}, spec, 7),
    ):
        assert made(model, **asked).request.sampling.text_guidance == found


def test_interval_acts_where_words_alone_are_guided(spec: ModelSpec) -> None:
    def idles(**asked: Any) -> bool:
        asked = {"guidance": 1, "interval": [0.1, 2], **asked}
        return bool(
            idle(check({"samples": 1, "contexts": [{"class": "hero"}], "sampling": asked}), spec)
        )

    assert idles()
    assert idles(text_guidance=1)
    assert not idles(text_guidance=5)


def test_sampling_is_told_in_words(spec: ModelSpec) -> None:
    assert in_words(spec.defaults) == "dpmpp_2m, 12 steps, guidance 2"
    asked = made(spec, text_guidance=4.5).request.sampling
    assert in_words(asked) == "dpmpp_2m, 12 steps, guidance 2, 4.5 by words"


def steps(made: Plan) -> int | None:
    return made.request.sampling.steps


def test_ddpm_takes_every_time_of_a_model_that_has_them(
    spec: ModelSpec, discrete: ModelSpec
) -> None:
    assert steps(made(discrete, sampler="ddpm")) == 300
    assert steps(made(spec, sampler="ddpm")) == 500
    assert steps(made(discrete, sampler="ddim")) == 25
    assert steps(made(discrete, sampler="heun")) == 12


def test_estimate_counts_the_second_evaluation_of_heun(spec: ModelSpec) -> None:
    job = made(spec, sampler="heun", steps=12, guidance=1)
    assert estimate(job, rate=1, png_bytes=1).flops == 23 * spec.flops


@pytest.mark.parametrize(("size", "expected"), [(1, 300), (7, 43), (300, 1)])
def test_step_size_says_how_many_steps(discrete: ModelSpec, size: int, expected: int) -> None:
    assert steps(made(discrete, sampler="ddim", step_size=size)) == expected


def test_a_resolved_request_is_resolved_to_itself(discrete: ModelSpec) -> None:
    once = made(discrete, sampler="ddim", step_size=7)
    again = plan(once.request, discrete)
    assert canonical(again.request) == canonical(once.request)


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        ({"sampler": "ddim", "steps": 301}, r"sampling\.steps = 301: .* 300 times\. Give 1 to 300"),
        ({"sampler": "ddpm", "step_size": 400}, r"sampling\.step_size = 400: .* 300 times"),
        ({"sampler": "ddim", "step_size": 7, "steps": 5}, r"sampling\.steps = 5: step_size says"),
    ],
)
def test_steps_that_the_model_has_not_are_refused(
    discrete: ModelSpec, sampling: dict[str, Any], said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        made(discrete, **sampling)


def test_samplers_of_continuous_levels_take_any_number_of_steps(discrete: ModelSpec) -> None:
    assert steps(made(discrete, sampler="dpmpp_2m", steps=700)) == 700


def test_step_size_is_refused_of_a_model_without_times(spec: ModelSpec) -> None:
    with pytest.raises(RequestError, match=r"sampling\.step_size = 20: .*no discrete times"):
        made(spec, sampler="ddim", step_size=20)


def test_step_size_needs_a_sampler_that_walks_times() -> None:
    with pytest.raises(ValueError, match="step_size belongs to the samplers ddim and ddpm"):
        Sampling(sampler="heun", step_size=20)


def test_sides_are_not_joined_by_the_courses_network(discrete: ModelSpec) -> None:
    asked = {"samples": 1, "contexts": [{"class": "hero"}], "pixels": {"tile": "x"}}
    with pytest.raises(RequestError, match=r"pixels\.tile = x: .* draws each place by itself"):
        plan(check(asked), discrete)
