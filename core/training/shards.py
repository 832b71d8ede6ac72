"""A finished dataset for PyTorch's DataLoader, read in place."""

from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor
from torch.utils.data import Dataset

from core.dataset import png
from core.dataset.places import Places


class Item(TypedDict):
    """A sprite, RGBA bytes [4, S, S], with its class's number (-1 without one) and its words."""

    image: Tensor
    label: int
    caption: str
    key: str


class ShardDataset(Dataset[Item]):
    """The samples of a dataset in a folder, in its order, without unpacking its shards.

    For a DataLoader with any number of workers: each keeps its own list of where samples lie.
    Raises NotFoundError, CorruptError.
    """

    def __init__(self, folder: str | Path) -> None:
        self._places = Places(Path(folder))
        model = self._places.manifest.model
        self.classes = model.classes
        self._size = model.size
        self._labels = {name: number for number, name in enumerate(model.classes)}

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: int) -> Item:
        record, picture = self._places.read(place)
        pixels = png.decode(picture, self._size).transpose(2, 0, 1).copy()
        return {
            "image": torch.from_numpy(pixels),
            "label": self._labels.get(record.class_name, -1),
            "caption": record.caption,
            "key": record.key,
        }
