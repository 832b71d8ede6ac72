"""Training data in whatever form it comes: one function that finds out which."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from core.dataset.layout import MANIFEST
from core.dataset.reader import sprites
from core.dataset.source import FolderSource, read_manifest
from core.errors import UsageError
from core.request.contexts import tokens
from core.training import arrays, dataset
from core.training.examples import Examples, Found, gather
from core.training.fitting import SUFFIXES, fit, load
from core.training.recipe import Recipe

_PLAIN = Recipe(classes={})


def read(path: Path, size: int, classes: Sequence[str] = ()) -> Examples:
    """The sprites of `path` as squares of `size` pixels. Raises UsageError, CorruptError.

    `path` is a Spritemill dataset; arrays; a folder with `metadata.csv`; a folder of folders of
    pictures, which are the classes; or a folder of pictures, which have none. `classes` name those
    that arrays only number.
    """
    if not path.exists():
        raise UsageError(f"{path}: there is no such folder.")
    if not path.is_dir() and path.suffix != arrays.SUFFIX:
        raise UsageError(f"{path}: it is a file.", remedy="Give the folder that it lies in.")
    found = list(_found(path, size, classes))
    if not found:
        raise UsageError(
            f"{path}: there are no sprites in it.",
            remedy="Give a folder of pictures, or of folders of pictures.",
        )
    return gather(found, _PLAIN)


def _found(path: Path, size: int, classes: Sequence[str]) -> Iterator[Found]:
    if (path / MANIFEST).is_file():
        yield from _of_dataset(path, size)
    elif (path / dataset.TABLE).is_file():
        yield from dataset.listed(path, size)
    elif array := arrays.find(path):
        yield from arrays.read(array, size, classes)
    else:
        yield from _of_folders(path, size)


def _of_dataset(path: Path, size: int) -> Iterator[Found]:
    source = FolderSource(path)
    for record, image in sprites(source, read_manifest(source)):
        yield Found(fit(image, size), record.class_name, tokens(record.caption))


def _of_folders(path: Path, size: int) -> Iterator[Found]:
    pictures = _pictures(path)
    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    if pictures and any(_pictures(folder, "**/*") for folder in folders):
        raise UsageError(
            f"{path}: it holds both pictures and folders of pictures.",
            remedy="Put every picture into a folder that is named for its class, or none.",
        )
    for picture in pictures:
        yield Found(fit(load(picture), size), "", ())
    for folder in folders:
        for picture in _pictures(folder, "**/*"):
            yield Found(fit(load(picture), size), folder.name, ())


def _pictures(folder: Path, pattern: str = "*") -> list[Path]:
    return [path for path in sorted(folder.glob(pattern)) if path.suffix.lower() in SUFFIXES]
