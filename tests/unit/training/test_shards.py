from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from core.dataset.reader import sprites
from core.errors import CorruptError, NotFoundError
from core.training.shards import ShardDataset
from tests.unit.dataset.bench import REQUEST, Bench, folder_store, job


@pytest.fixture
def dataset(tmp_path: Path) -> Bench:
    """A finished dataset of four shards."""
    made = job(folder_store(tmp_path / "store"), tmp_path / "store", REQUEST)
    made.render_all()
    made.assemble()
    return made


def test_samples_are_the_dataset_in_order(dataset: Bench) -> None:
    samples = ShardDataset(dataset.folder)
    assert len(samples) == 100
    assert samples.classes == ("hero", "potion", "weapon")
    for place, (record, pixels) in enumerate(sprites(dataset.source, dataset.manifest())):
        item = samples[place]
        assert np.array_equal(item["image"].permute(1, 2, 0).numpy(), pixels)
        assert (item["key"], item["caption"]) == (record.key, record.caption)
        assert item["label"] == (1 if record.class_name == "potion" else -1)


def test_samples_are_read_in_any_order(dataset: Bench) -> None:
    in_order, backwards = ShardDataset(dataset.folder), ShardDataset(dataset.folder)
    keys = [backwards[place]["key"] for place in reversed(range(100))]
    assert keys[::-1] == [in_order[place]["key"] for place in range(100)]


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 on threads
def test_workers_bring_every_sample_once_an_epoch_shuffled(dataset: Bench, start: str) -> None:
    samples = ShardDataset(dataset.folder)
    assert samples[99]["key"]  # what was found here already is known to workers that are forked
    loader = DataLoader(
        samples, batch_size=16, shuffle=True, num_workers=2, multiprocessing_context=start,
        persistent_workers=True, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    epochs = []
    for _ in range(2):
        batches = list(loader)
        assert batches[0]["image"].shape == (16, 4, 32, 32)
        assert batches[0]["image"].dtype == torch.uint8
        epochs.append([key for batch in batches for key in batch["key"]])
    wanted = [record.key for record, _ in sprites(dataset.source, dataset.manifest())]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(wanted)
    assert epochs[0] != epochs[1]
    assert epochs[0] != wanted


@pytest.mark.parametrize("place", [-1, 100])
def test_place_that_is_not_there_is_no_sample(dataset: Bench, place: int) -> None:
    with pytest.raises(IndexError):
        ShardDataset(dataset.folder)[place]


def test_shard_with_fewer_samples_is_noticed(dataset: Bench) -> None:
    shards = dataset.manifest().shards
    path = dataset.folder / shards[0].name
    path.write_bytes((dataset.folder / shards[3].name).read_bytes())
    with pytest.raises(CorruptError, match="4 samples, not 32"):
        ShardDataset(dataset.folder)[0]


def test_truncated_shard_is_noticed(dataset: Bench) -> None:
    path = dataset.folder / dataset.manifest().shards[0].name
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CorruptError):
        ShardDataset(dataset.folder)[0]


def test_folder_without_a_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        ShardDataset(tmp_path)
