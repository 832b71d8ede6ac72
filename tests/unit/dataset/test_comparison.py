import numpy as np
import pytest

from core.dataset import comparison
from core.errors import CorruptError
from tests.unit.dataset.bench import Bench
from tests.unit.dataset.renderer import Renderer


def test_sprites_that_come_out_the_same_are_equal(dataset: Bench) -> None:
    renderer = Renderer(dataset)
    found = comparison.compare(dataset.source, dataset.manifest(), {3, 40, 99}, renderer)
    assert (found.samples, found.equal, found.largest) == (3, 3, 0)
    assert not found.differs
    assert renderer.asked == [3, 40, 99]


def test_sprites_that_come_out_otherwise_are_named_with_the_numerics(dataset: Bench) -> None:
    renderer = Renderer(dataset, {"device": "H200", "dtype": "float32"}, alike=False)
    found = comparison.compare(dataset.source, dataset.manifest(), {3, 40}, renderer)
    assert found.unequal == [record.key for record, _ in comparison.by_key(
        dataset.source, found.unequal
    )]  # fmt: skip
    assert (found.equal, len(found.unequal)) == (0, 2)
    assert found.differs == {"device": ("cpu", "H200")}


def test_largest_difference_is_of_255_and_of_any_channel(dataset: Bench) -> None:
    [pair] = comparison.pairs(dataset.source, dataset.manifest(), {3}, Renderer(dataset))
    other = pair.stored.copy()
    other[5, 6, 2] = (int(other[5, 6, 2]) + 9) if other[5, 6, 2] < 200 else other[5, 6, 2] - 9
    assert comparison.Pair(pair.record, pair.shard, pair.stored, other).largest == 9
    assert np.array_equal(pair.stored, pair.here)


def test_shards_without_a_wanted_sample_are_not_read(dataset: Bench) -> None:
    (dataset.folder / dataset.manifest().shards[0].name).unlink()
    found = comparison.compare(dataset.source, dataset.manifest(), {40}, Renderer(dataset))
    assert found.equal == 1


def test_damaged_shard_is_not_taken_for_another_rendering(dataset: Bench) -> None:
    path = dataset.folder / dataset.manifest().shards[1].name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptError, match="shards/000001"):
        comparison.compare(dataset.source, dataset.manifest(), {40}, Renderer(dataset))


def test_random_choice_is_repeatable_and_within_the_dataset(dataset: Bench) -> None:
    manifest = dataset.manifest()
    chosen = comparison.some(manifest, 10, seed=1)
    assert chosen == comparison.some(manifest, 10, seed=1)
    assert chosen != comparison.some(manifest, 10, seed=2)
    assert len(chosen) == 10
    assert comparison.some(manifest, 1000, seed=1) == set(range(100))
