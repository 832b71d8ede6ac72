"""What a training step sees."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.training.augment import COLOURS, RECOLOURED, with_word
from core.training.batches import Batches
from core.training.examples import NO_CLASS, Examples
from core.training.recipe import Augment


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
    assert 0.11 < (classes & ~words).mean() < 0.19
    assert (classes & words).mean() > 0.15
    assert (words & ~classes).mean() > 0.05


def test_classes_by_themselves_are_left_out_a_tenth_of_the_time(examples: Examples) -> None:
    wordless = replace(examples, words=((),) * len(examples.words))
    contexts = Batches(wordless, 4000, seed=0).batch(0).contexts
    assert 0.08 < float((~contexts.any(dim=1)).float().mean()) < 0.12


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
    flips = Batches(examples, 300, seed=0, varied=Augment(frozenset(examples.classes)))
    before, after = whole.batch(0).images, flips.batch(0).images
    same = (before == after).flatten(1).all(1)
    turned = (before == after.flip(3)).flatten(1).all(1)
    assert bool((same | turned).all())
    assert 100 < int(same.sum()) < 200


def test_turned_sprites_show_each_of_four_sides(examples: Examples) -> None:
    images = examples.images.copy()
    images[:, :2] = 255  # a bar on top, on every sprite
    barred = replace(examples, images=images)
    varied = Augment(turned=frozenset(examples.classes), shift=True)
    seen = Batches(barred, 400, seed=0, varied=varied).batch(0).images
    bars = (seen[:, :, :2], seen[:, :, -2:], seen[:, :, :, :2], seen[:, :, :, -2:])
    sides = [int((bar == 1).flatten(1).all(dim=1).sum()) for bar in bars]
    assert sum(sides) == 400
    assert all(60 < count < 140 for count in sides)


def test_rolled_tiles_begin_anywhere_and_lose_nothing(examples: Examples) -> None:
    images = np.zeros_like(examples.images)
    images[:, 0] = images[:, :, 0] = 255  # a cross, on every sprite
    crossed = replace(examples, images=images)
    varied = Augment(rolled=frozenset(examples.classes[:1]))
    batch = Batches(crossed, 4000, seed=0, varied=varied).batch(0)
    whole = batch.images == 1
    first = batch.contexts[:, 0] == 1
    rows, columns = whole.all(dim=3).all(dim=1), whole.all(dim=2).all(dim=1)
    assert bool((rows.sum(dim=1) == 1).all() and (columns.sum(dim=1) == 1).all())
    size = images.shape[1]
    for lines in (rows, columns):
        places = lines.int().argmax(dim=1)
        assert len(set(places[first].tolist())) == size
        named = batch.contexts[:, 1 : len(examples.classes)].any(dim=1)
        assert bool((places[named] == 0).all())


def test_sprites_without_a_class_are_flipped_where_all_are(examples: Examples) -> None:
    nameless = replace(examples, labels=np.full(len(examples.labels), NO_CLASS))
    before = Batches(nameless, 300, seed=0).batch(0).images
    after = Batches(nameless, 300, seed=0, varied=Augment(frozenset({""}))).batch(0).images
    assert 100 < int((before == after).flatten(1).all(1).sum()) < 200


def test_every_sprite_alike_when_classes_do_not_count(examples: Examples) -> None:
    contexts = Batches(examples, 6000, seed=0, balance=1.0).batch(0).contexts
    named = contexts[:, :3].sum(dim=0)
    shares = np.bincount(examples.labels) / len(examples.labels)
    np.testing.assert_allclose((named / named.sum()).numpy(), shares, atol=0.03)


def test_a_class_has_the_share_that_it_is_given(examples: Examples) -> None:
    first = examples.classes[0]
    contexts = Batches(examples, 6000, seed=0, shares={first: 0.7}).batch(0).contexts
    named = contexts[:, : len(examples.classes)].sum(dim=0)
    assert 0.66 < float(named[0] / named.sum()) < 0.74
    assert bool((named[1:] > 0).all())


def test_moved_sprites_lose_nothing(examples: Examples) -> None:
    images = examples.images.copy()
    images[:, 0] = images[:, -1] = images[:, :, 0] = images[:, :, -1] = 0
    clear = replace(examples, images=images)
    mirrored = frozenset(clear.classes)
    batches = Batches(clear, 200, seed=0, varied=Augment(mirrored, shift=True), balance=1.0)
    sums = batches.batch(0).images.sum(dim=(1, 2, 3))
    whole = Batches(clear, 4000, seed=1, balance=1.0).batch(0).images
    known = whole.sum(dim=(1, 2, 3))
    assert bool((sums[:, None] - known).abs().min(dim=1).values.lt(1e-2).all())
    edges = batches.batch(0).images[:, 3, 0].amax(dim=1)
    assert 20 < int((edges > 0).sum()) < 120  # a third is moved up


def test_opaque_sprites_are_not_moved(examples: Examples) -> None:
    still, moved = (
        Batches(examples, 50, seed=0, varied=Augment(shift=shift)).batch(0).images
        for shift in (False, True)
    )
    assert torch.equal(still, moved)


def test_recoloured_sprites_say_so_and_name_no_colour(examples: Examples) -> None:
    told = with_word(examples)
    batch = Batches(told, 3000, seed=0, varied=Augment(recolour=0.5)).batch(0)
    flag = batch.contexts[:, -1] > 0
    assert told.vocabulary[-1] == RECOLOURED
    assert 0.4 < float(flag.float().mean()) < 0.5  # a tenth is told nothing
    start = len(told.classes)
    colours = [start + i for i, word in enumerate(told.vocabulary) if word in COLOURS]
    assert colours
    assert not bool(batch.contexts[flag][:, colours].any())
    assert bool(batch.contexts[~flag][:, colours].any())


def test_sprites_without_class_or_words_have_empty_contexts(examples: Examples) -> None:
    bare = replace(
        examples, labels=np.full(len(examples.labels), NO_CLASS), classes=(), vocabulary=(),
        words=((),) * len(examples.words),
    )  # fmt: skip
    batch = Batches(bare, 8, seed=0, channels=1).batch(0)
    assert batch.contexts.shape == (8, 0)
    assert batch.images.shape == (8, 1, 16, 16)


def test_another_seed_draws_other_sprites_and_contexts(examples: Examples) -> None:
    one, other = (Batches(examples, 8, seed=seed).batch(5) for seed in (0, 1))
    assert not torch.equal(one.images, other.images)
    assert not torch.equal(one.contexts, other.contexts)


def test_words_without_a_class_are_left_out_a_tenth_of_the_time(examples: Examples) -> None:
    told = np.flatnonzero([bool(words) for words in examples.words])
    nameless = replace(examples.take(told), labels=np.full(len(told), NO_CLASS))
    contexts = Batches(nameless, 4000, seed=0).batch(0).contexts
    assert 0.08 < float((~contexts.any(dim=1)).float().mean()) < 0.12


def test_a_word_by_itself_is_told_as_often_as_many(examples: Examples) -> None:
    many = tuple(f"word{number}" for number in range(10))
    wordy = replace(examples, vocabulary=many, words=(tuple(range(10)),) * len(examples.words))
    batch = Batches(wordy, 6000, seed=0).batch(0)
    told = (batch.contexts[:, len(wordy.classes) :] > 0).sum(dim=1)
    some = told[(told > 0) & (told < 10)]
    assert float((some == 1).float().mean()) > 0.25
    assert float((some > 5).float().mean()) > 0.15


def test_rare_words_are_told_before_common_ones_and_no_more_of_them(examples: Examples) -> None:
    one = examples.take(np.zeros(50, dtype=np.int64))
    names = ("boots", "brown", "helm", "plume")
    common, rare = ((0, 1),) * 45, ((0, 2),) * 4
    told = [
        Batches(replace(one, words=words, vocabulary=names), 40_000, seed=0)
        .batch(0)
        .contexts[:, -4:]
        for words in ((*common, *rare, (0, 2)), (*common, *rare, (2, 3)))
    ]
    boots, helm = told[0][:, 0] > 0, told[0][:, 2] > 0
    others = told[0][:, 1] > 0
    assert float(boots[helm].float().mean()) < 0.9 * float(boots[others].float().mean())
    many = [float((words > 0).sum(dim=1).eq(2).float().mean()) for words in told]
    assert many[0] == pytest.approx(many[1], abs=0.02)  # the last sprite has only rare words
