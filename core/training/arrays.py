"""Sprites as arrays: `sprites*.npy`, N x H x W x 3 bytes, beside `*label*.npy`, N x K one-hots."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.training.examples import Found
from core.training.fitting import fit

SUFFIX = ".npy"
_LABEL = "label"
_NAMES = "labels.json"
_NONE = -1


def find(path: Path) -> Path | None:
    """The file of sprites that `path` names or its folder holds, if any. Raises UsageError."""
    if path.suffix == SUFFIX:
        return path
    files = [file for file in sorted(path.glob("*.npy")) if _LABEL not in file.name.lower()]
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise UsageError(f"{path} holds several arrays: {names}.", remedy="Name one of them.")
    return files[0] if files else None


def read(path: Path, size: int, classes: Sequence[str] = ()) -> Iterator[Found]:
    """The sprites of a file, with their classes where labels lie beside it. Raises UsageError."""
    images = _array(path)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4) or images.dtype != np.uint8:
        raise UsageError(
            f"{path} holds {images.dtype} {images.shape}.",
            remedy="It needs bytes (uint8) of N x H x W x 3, or x 1 for grey, or x 4 with alpha.",
        )
    names = _names(path, len(images), classes)
    for number, image in enumerate(images):
        yield Found(fit(_rgba(image), size), names[number] if names else "", ())


def _names(path: Path, count: int, classes: Sequence[str]) -> list[str]:
    """Each sprite's class: the place of the largest of its labels, named if `classes` does."""
    found = [file for file in sorted(path.parent.glob("*.npy")) if _LABEL in file.name.lower()]
    fitting = [labels for file in found if len(labels := _array(file)) == count]
    if not found:
        return []
    if len(fitting) != 1:
        raise UsageError(
            f"{path}: {len(fitting)} of the files {', '.join(file.name for file in found)} "
            f"have labels for its {count} sprites.",
            remedy="Keep exactly one of them beside it.",
        )
    labels = fitting[0].reshape(count, -1)
    if labels.dtype.kind not in "biuf" or (labels < _NONE).any():
        raise UsageError(
            f"{path}: its labels are {labels.dtype}, or below {_NONE}.",
            remedy=f"They must be one-hots, or numbers from 0; {_NONE} is none.",
        )
    one_hot = labels.shape[1] > 1 or (fitting[0].ndim == 2 and bool((labels == 1).all()))
    if one_hot and not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) <= 1).all()):
        raise UsageError(
            f"{path}: its labels of {labels.shape[1]} numbers are no one-hots.",
            remedy="A row has a single 1, or only zeros for none.",
        )
    hot = np.where(labels.any(axis=1), labels.argmax(axis=1), _NONE)
    kinds = hot if one_hot else labels[:, 0].astype(np.int64)
    highest = int(labels.shape[1] if one_hot else kinds.max() + 1)
    if classes and len(classes) < highest:
        raise UsageError(
            f"classes = {','.join(classes)}: the labels tell {highest} classes apart.",
            remedy="Name each of them, in the order of the labels.",
        )
    names = classes or _told(path.with_name(_NAMES), highest)
    return [names[kind] if kind != _NONE else "" for kind in kinds]


def _told(path: Path, count: int) -> list[str]:
    """The names that an export has written beside its arrays, else numbers."""
    if not path.is_file():
        return [f"class-{number}" for number in range(count)]
    try:
        names = [str(name) for name in json.loads(path.read_text(encoding="utf-8"))["contexts"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} names no classes: {error!r}.", remedy="Remove it.") from error
    if len(names) != count:
        raise UsageError(
            f"{path} names {len(names)} classes, and the labels tell {count} apart.",
            remedy="Remove it, or name them with --classes.",
        )
    return names


def _array(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path} is no array that can be read: {error}.") from error


def _rgba(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.shape[-1] == 1:
        image = image.repeat(3, axis=-1)
    if image.shape[-1] == 4:
        return image
    opaque = np.full((*image.shape[:2], 1), 255, dtype=np.uint8)
    return np.concatenate([image, opaque], axis=-1)
