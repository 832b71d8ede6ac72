"""Plans: numbering, contexts as vectors, digests, and the faults that only a model shows."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RequestError
from core.request.contexts import Context, dense
from core.request.estimate import estimate
from core.request.load import check
from core.request.plan import Plan, digest, noise_key, plan
from core.request.surplus import counted
from core.weights.spec import ModelSpec


def made(spec: ModelSpec, *contexts: object, **rest: object) -> Plan:
    return plan(check({"samples": 4, "contexts": list(contexts), **rest}), spec)


def only(spec: ModelSpec, context: object) -> Context:
    return made(spec, context).context(0)


def test_class_is_its_one_hot(spec: ModelSpec) -> None:
    assert only(spec, {"class": "potion"}).terms == ((1, 1.0),)


def test_mixture_weights_are_used_as_given(spec: ModelSpec) -> None:
    context = only(spec, {"mixture": {"weapon": 0.6, "hero": 1}})
    assert context.terms == ((0, 1.0), (2, 0.6))
    assert dense(context.terms, 4).tolist() == pytest.approx([1.0, 0.0, 0.6, 0.0])


def test_words_of_a_text_share_unit_length_and_fillers_say_nothing(spec: ModelSpec) -> None:
    terms = only(spec, {"text": "an Avocado armchair"}).terms
    assert terms == ((3, 1 / math.sqrt(2)), (4, 1 / math.sqrt(2)))


def test_class_named_in_a_text_is_that_class(spec: ModelSpec) -> None:
    assert only(spec, {"text": "blue potion"}).terms[0] == (1, 1.0)


def test_unconditional_is_all_zeros(spec: ModelSpec) -> None:
    assert only(spec, {"unconditional": True}).terms == ()


def test_vector_is_taken_as_it_is(spec: ModelSpec) -> None:
    vector = [0.5, 0, 0, 0, 0, 0, 0, 0, -2]
    assert np.allclose(dense(only(spec, {"vector": vector}).terms, 9), vector)


def test_negative_is_a_context_of_its_own(spec: ModelSpec) -> None:
    context = only(spec, {"class": "hero", "negative": {"text": "blue"}})
    assert context.negative == ((5, 1.0),)
    assert context.id != only(spec, {"class": "hero"}).id


def test_product_is_every_class_with_every_text(spec: ModelSpec) -> None:
    product = {"class": ["potion", "weapon"], "text": ["red", "blue", "flaming"]}
    labels = [context.label for context, _ in made(spec, {"product": product}).contexts()]
    assert labels[0] == 'potion "red"'
    assert labels[-1] == 'weapon "flaming"'
    assert len(set(labels)) == 6


@pytest.mark.parametrize(
    ("context", "rest", "field", "told"),
    [
        ({"class": "potoin"}, {}, "contexts[0].class", "Did you mean potion"),
        ({"mixture": {"herro": 1}}, {}, "contexts[0].mixture", "Did you mean hero"),
        ({"text": "avocado armchiar"}, {}, "contexts[0].text", "Did you mean armchair"),
        ({"text": "of the"}, {}, "contexts[0].text", "names nothing"),
        ({"vector": [1, 2]}, {}, "contexts[0].vector", "2 numbers: this model's contexts have 9"),
        ({"product": {"class": ["hero", "orb"], "text": ["red"]}}, {},
         "contexts[0].product.class[1]", "orb"),
        ({"product": {"class": ["hero"], "text": ["red", "zz"]}}, {},
         "contexts[0].product.text[1]", "zz"),
        ({"class": "hero", "negative": {"text": "zz"}}, {}, "contexts[0].negative.text", "Known"),
        ({"class": "hero"}, {"pixels": {"size": 64}}, "pixels.size", "makes 32"),
        ({"class": "hero"}, {"samples": 10**9}, "samples", "raise the setting max_samples"),
    ],
)  # fmt: skip
def test_what_the_model_lacks_is_told(
    spec: ModelSpec, context: object, rest: dict[str, object], field: str, told: str
) -> None:
    with pytest.raises(RequestError) as caught:
        made(spec, context, **rest)
    assert [fault.field for fault in caught.value.faults] == [field]
    assert told in str(caught.value)


def test_same_context_twice_is_refused_however_it_is_spelled(spec: ModelSpec) -> None:
    product = {"product": {"class": ["hero"], "text": ["red  SWORD"]}}
    told = r'contexts\[1\] = hero "red  SWORD": .*same as contexts\[0\]'
    with pytest.raises(RequestError, match=told):
        made(spec, {"class": "hero", "text": "red sword"}, product)


def test_product_that_names_one_text_twice_is_told_which(spec: ModelSpec) -> None:
    product = {"class": ["hero"], "text": ["red", "blue", "Red"]}
    told = r'contexts\[0\]\.product = hero "Red": it asks for this twice\. Name each'
    with pytest.raises(RequestError, match=told):
        made(spec, {"product": product})


def test_faults_of_many_contexts_are_counted(spec: ModelSpec) -> None:
    with pytest.raises(RequestError) as caught:
        made(spec, *({"class": f"orb{number}"} for number in range(50)))
    assert counted(caught.value.faults) == 50


def test_faults_of_very_many_contexts_are_not_all_looked_for(spec: ModelSpec) -> None:
    product = {"class": ["hero"], "text": [f"orb{number}" for number in range(1000)]}
    with pytest.raises(RequestError) as caught:
        made(spec, {"product": product})
    assert counted(caught.value.faults) == 100


def test_missing_samples_are_told(spec: ModelSpec) -> None:
    with pytest.raises(RequestError, match=r"contexts\[0\]\.samples"):
        plan(check({"contexts": [{"class": "hero"}]}), spec)


@settings(max_examples=50)
@given(counts=st.lists(st.integers(1, 90), min_size=1, max_size=3), size=st.integers(1, 100))
def test_shards_hold_every_sample_once_and_in_order(
    spec: ModelSpec, counts: list[int], size: int
) -> None:
    names = ("hero", "potion", "weapon")
    contexts = [{"class": names[i], "samples": n} for i, n in enumerate(counts)]
    job = made(spec, *contexts, outputs={"shard_samples": size})
    samples = [s for n in range(job.shard_count) for s in job.samples(job.shard(n))]
    assert [sample.number for sample in samples] == list(range(sum(counts)))
    found = [(sample.context.number, sample.index) for sample in samples]
    assert found == [(i, j) for i, n in enumerate(counts) for j in range(n)]
    assert len({sample.key for sample in samples}) == len(samples)
    assert len({sample.noise_key for sample in samples}) == len(samples)


def test_noise_follows_the_context_not_its_place(spec: ModelSpec) -> None:
    alone = made(spec, {"class": "potion"})
    beside = made(spec, {"class": "hero"}, {"class": "potion"})
    assert [s.noise_key for s in alone.samples(alone.shard(0))] == [
        s.noise_key for s in beside.samples(beside.shard(0)) if s.context.class_name == "potion"
    ]


def test_retry_of_a_sample_has_other_noise() -> None:
    assert noise_key(1, "aa", 0) != noise_key(1, "aa", 0, retry=1)


def test_defaults_are_filled_in_from_the_model(spec: ModelSpec) -> None:
    request = made(spec, {"class": "hero"}).request
    assert (request.sampling.sampler, request.sampling.steps) == ("dpmpp_2m", 12)
    assert request.pixels.size == 32
    assert made(spec, {"class": "hero"}, sampling={"sampler": "ddpm"}).request.sampling.steps == 500


def test_digest_follows_content_and_weights_only(spec: ModelSpec) -> None:
    job = made(spec, {"class": "hero"})
    named = made(
        spec, {"class": "hero"}, name="other", priority=5, workers=2, outputs={"shard_samples": 7}
    )
    explicit = made(spec, {"class": "hero"}, sampling={"steps": 12})
    assert digest(job, "a") == digest(named, "a") == digest(explicit, "a")
    assert digest(job, "a") != digest(job, "b")
    assert digest(job, "a") != digest(made(spec, {"class": "hero"}, seed=1), "a")


def test_ten_million_samples_of_a_hundred_thousand_contexts_are_planned_by_arithmetic(
    spec: ModelSpec,
) -> None:
    wide = spec.model_copy(update={"words": tuple(f"w{i}" for i in range(50_000))})
    product = {"class": ["hero", "potion"], "text": list(wide.words)}
    job = made(wide, {"product": product, "samples": 100})
    assert (job.context_count, job.total) == (100_000, 10_000_000)
    last = list(job.samples(job.shard(job.shard_count - 1)))[-1]
    assert (last.number, last.context.label) == (9_999_999, 'potion "w49999"')


def test_estimate_counts_idle_workers_of_the_last_round(spec: ModelSpec) -> None:
    job = made(spec, {"class": "hero", "samples": 96}, outputs={"shard_samples": 32})
    alone = estimate(job, rate=10, png_bytes=1000)
    pair = estimate(job, rate=10, png_bytes=1000, workers=2)
    assert (alone.seconds, pair.seconds, pair.worker_seconds) == (9.6, 6.4, 9.6)
    assert alone.bytes == 96 * (1000 + 2048)
    assert alone.flops == 96 * 12 * 2 * spec.flops
