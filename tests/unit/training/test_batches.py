"""What a training step sees."""

import math

import numpy as np
import torch

from core.training.batches import Batches
from core.training.dataset import Examples


def test_a_step_always_sees_the_same_batch(examples: Examples) -> None:
    one, other = Batches(examples, 8, seed=1), Batches(examples, 8, seed=1)
    one.batch(0)
    assert torch.equal(one.batch(5).images, other.batch(5).images)
    assert torch.equal(one.batch(5).contexts, other.batch(5).contexts)
    assert not torch.equal(one.batch(5).images, one.batch(6).images)


def test_contexts_leave_out_parts_of_what_is_known(examples: Examples) -> None:
    contexts = Batches(examples, 4000, seed=0).batch(0).contexts.numpy()
    classes = contexts[:, : len(examples.classes)].any(axis=1)
    words = contexts[:, len(examples.classes) :].any(axis=1)
    nothing = float((~classes & ~words).mean())
    assert 0.08 < nothing < 0.12
    assert (classes & ~words).mean() > 0.25
    assert (classes & words).mean() > 0.15
    assert (words & ~classes).mean() > 0.05


def test_words_of_a_context_are_as_loud_as_one(examples: Examples) -> None:
    contexts = Batches(examples, 200, seed=0).batch(0).contexts.numpy()
    for row in contexts[:, len(examples.classes) :]:
        count = np.count_nonzero(row)
        assert count == 0 or np.allclose(row[row > 0], 1 / math.sqrt(count))


def test_rare_classes_are_seen_more_often_than_their_share(examples: Examples) -> None:
    rows = np.concatenate([np.flatnonzero(examples.labels == 1), [8]])
    few = examples.take(rows)
    contexts = Batches(few, 4000, seed=0).batch(0).contexts
    assert few.classes[2] == "sword"
    named = contexts[:, :3].sum(dim=0)
    assert 0.2 < float(named[2] / named.sum()) < 0.33  # 1 of 9 sprites; 1 / (1 + sqrt(8)) = 0.26


def test_only_mirrored_classes_are_flipped(examples: Examples) -> None:
    whole = Batches(examples, 300, seed=0)
    flips = Batches(examples, 300, seed=0, mirrored=frozenset(examples.classes))
    before, after = whole.batch(0).images, flips.batch(0).images
    same = (before == after).flatten(1).all(1)
    turned = (before == after.flip(3)).flatten(1).all(1)
    assert bool((same | turned).all())
    assert 100 < int(same.sum()) < 200
