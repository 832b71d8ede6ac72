import numpy as np
import pytest

from core.evaluation.comparison import Comparison
from core.evaluation.encoder import bundled_encoder
from core.evaluation.measures import LEAST, Group, likeness, look, matched
from core.training.fitting import fit
from tests.unit.evaluation.sprites import Images, blocks, examples

CLASSES = ("book", "potion")
TRAINING, HELD_OUT = blocks(80, seed=1), blocks(60, seed=2)


def halves(count: int) -> list[int]:
    return [0] * (count // 2) + [1] * (count - count // 2)


def named(count: int) -> list[str]:
    return [CLASSES[label] for label in halves(count)]


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    training = examples(TRAINING, halves(len(TRAINING)), CLASSES)
    held_out = examples(HELD_OUT, halves(len(HELD_OUT)), CLASSES)
    return Comparison(bundled_encoder(), training, held_out, held_out)


def group(images: Images, classes: list[str]) -> Group:
    return look(bundled_encoder(), images, np.array(classes, dtype=np.str_))


def test_copies_of_training_sprites_are_told(comparison: Comparison) -> None:
    images = np.concatenate([TRAINING[:10], TRAINING[10:20, :, ::-1], blocks(20, seed=3)])
    found = comparison(images, named(40))
    assert found.overall.copies.memorised == pytest.approx(0.5)
    assert found.of_class["book"].copies.memorised == 1
    assert found.of_class["potion"].copies.memorised == 0
    assert found.nearest[:20].tolist() == list(range(20))
    assert found.distances[:20] == pytest.approx(np.zeros(20), abs=0.2)


@pytest.mark.parametrize("size", [8, 28, 96])
def test_copies_are_told_in_sprites_of_any_size(size: int) -> None:
    def sized(images: Images) -> Images:
        return np.stack([fit(image, size) for image in images[:, ::4, ::4]])

    known, unknown = (
        examples(sized(part), halves(len(part)), CLASSES) for part in (TRAINING, HELD_OUT)
    )
    compare = Comparison(bundled_encoder(), known, unknown, unknown)
    found = compare(sized(np.concatenate([TRAINING[:20], blocks(20, seed=3)])), named(40))
    assert found.of_class["book"].copies.memorised == 1
    assert found.of_class["potion"].copies.memorised == 0
    assert found.overall.to_held_out is not None


def test_held_out_sprites_are_as_near_as_the_quantile_says(comparison: Comparison) -> None:
    found = comparison(HELD_OUT, named(60)).overall.copies
    assert found.memorised == found.held_out_memorised
    assert found.memorised is not None
    assert found.memorised <= 2 / 60  # of 140 that were held out, at once or in turn, it is 1 %


def test_dark_sprites_are_no_copies_of_each_other_but_grainy_copies_are() -> None:
    training, held_out, fresh = (dark(seed) for seed in (1, 2, 3))
    known, unknown = (examples(part, halves(80), CLASSES) for part in (training, held_out))
    grain = np.random.default_rng(0).integers(-1, 2, training.shape)
    copies = np.clip(training + grain, 0, 255).astype(np.uint8)
    compare = Comparison(bundled_encoder(), known, unknown, unknown)
    found = [compare(images, named(80)).overall.copies for images in (fresh, copies)]
    assert found[0].memorised is not None
    assert found[0].memorised < 0.1
    assert found[1].memorised == 1
    assert found[0].median_distance > 0.8


def dark(seed: int) -> Images:
    """Eighty sprites near to black."""
    return (blocks(80, seed) // 20) | np.array([0, 0, 0, 255], dtype=np.uint8)


def test_alpha_and_colours_are_told(comparison: Comparison) -> None:
    flat = np.zeros((4, 32, 32, 4), dtype=np.uint8)
    flat[:, 8:24, 8:24] = 200, 40, 40, 255
    flat[:, 8:16, 8:16] = 40, 40, 200, 255
    flat[3, 0, 0] = 9, 9, 9, 128
    found = comparison(flat, [""] * 4).overall.samples
    assert found is not None
    assert found.binary_alpha == pytest.approx(3 / 4)
    assert found.colours == 2


def test_sprites_like_the_real_ones_are_nearer_than_others(comparison: Comparison) -> None:
    alike = comparison(blocks(60, seed=4), named(60)).overall
    flat = np.full((60, 32, 32, 4), 255, dtype=np.uint8)
    flat[:, :, :, 0] = np.arange(60, dtype=np.uint8)[:, None, None]
    others = comparison(flat, named(60)).overall
    assert alike.to_held_out is not None
    assert others.to_held_out is not None
    assert alike.to_held_out.frechet < others.to_held_out.frechet / 5
    assert alike.to_held_out.kernel.high < others.to_held_out.kernel.low
    assert alike.to_held_out.manifold.coverage > 0.8
    assert others.to_held_out.manifold.coverage < 0.1


def test_real_and_drawn_sprites_are_compared_in_equal_counts(comparison: Comparison) -> None:
    found = comparison(blocks(41, seed=5), ["book"] * 11 + ["potion"] * 30).overall
    assert found.to_held_out is not None
    assert found.training_to_held_out is not None
    assert found.to_held_out.sprites == found.training_to_held_out.sprites == 11 + 30


def test_agreement_is_that_of_the_asked_class_with_the_seen_one(comparison: Comparison) -> None:
    images = blocks(12, seed=6)
    encoder = bundled_encoder()
    seen = [encoder.classes[best] for best in encoder(images).probabilities.argmax(axis=1)]
    wrong = "book" if seen[0] != "book" else "potion"
    found = comparison(images, [wrong, *seen[1:]])
    assert found.overall.samples is not None
    assert found.overall.samples.agreement == pytest.approx(11 / 12)
    assert found.of_class[wrong].samples is not None


def test_sprites_without_a_class_are_compared_with_all(comparison: Comparison) -> None:
    found = comparison(blocks(LEAST, seed=7), [""] * LEAST)
    assert found.of_class == {}
    assert found.overall.samples is not None
    assert found.overall.samples.agreement is None
    assert found.overall.to_held_out is not None
    assert found.overall.to_held_out.sprites == LEAST


def test_without_held_out_sprites_training_sprites_in_turn_tell_what_is_near() -> None:
    training = examples(TRAINING, halves(80), CLASSES)
    none = training.take(np.zeros(0, dtype=np.int64))
    images = np.concatenate([TRAINING[:2], blocks(2, seed=3)])
    found = Comparison(bundled_encoder(), training, none, none)(images, ["book"] * 4)
    assert found.overall.copies.memorised == pytest.approx(0.5)
    assert found.overall.copies.held_out_memorised is None
    assert found.overall.unseen is None
    assert found.overall.agreement_ratio is None


def test_where_no_real_sprite_is_left_over_nothing_is_called_memorised() -> None:
    one = examples(TRAINING[:1], [0], CLASSES)
    none = one.take(np.zeros(0, dtype=np.int64))
    found = Comparison(bundled_encoder(), one, none, none)(TRAINING[:2], ["book"] * 2)
    assert found.overall.copies.memorised is None


def test_too_few_sprites_are_not_compared() -> None:
    few = group(blocks(LEAST - 1), [""] * (LEAST - 1))
    assert likeness(few, few) is None


def test_matched_groups_have_as_many_of_each_class() -> None:
    first = group(blocks(7), ["book"] * 5 + ["wall"] * 2)
    second = group(blocks(9), ["wall"] * 6 + ["book"] * 2 + ["food"])
    for found in matched(first, second):
        assert sorted(found.classes.tolist()) == ["book", "book", "wall", "wall"]
    assert [len(found) for found in matched(first, second, most=2)] == [2, 2]


def test_copies_among_sprites_without_a_class_count_too(comparison: Comparison) -> None:
    images = np.concatenate([TRAINING[:20], blocks(20, seed=3)])
    found = comparison(images, [""] * 20 + ["book"] * 20)
    assert found.overall.copies.memorised == pytest.approx(0.5)
    assert found.of_class["book"].copies.memorised == 0
