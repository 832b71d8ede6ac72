"""Real sprites of a folder, to set beside those of a dataset."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.dataset import png
from core.dataset.page.facts import Picture
from core.errors import CorruptError, UsageError
from core.sprites import likeness, picture

MOST = 100_000
_BLOCK = 1024
_LONGEST = 2**13


@dataclass(frozen=True, slots=True)
class Real:
    """The prints of all sprites of one size below a folder, with their names inside it."""

    folder: Path
    names: tuple[str, ...]
    prints: likeness.Prints

    def picture(self, place: int) -> Picture:
        rgba = _read(self.folder / self.names[place])
        return Picture(self.names[place], "", png.encode(rgba), rgba)


def read_folder(folder: Path, size: int) -> Real:
    """Raises UsageError when there are no sprites of this size, CorruptError for a bad file."""
    if not folder.is_dir():
        raise UsageError(f"real = {folder}: there is no such folder.", remedy="Name a folder.")
    names, prints, held = [], [], []
    for path in sorted(folder.rglob("*.png"))[:MOST]:
        rgba = _read(path)
        if rgba.shape == (size, size, 4):
            names.append(path.relative_to(folder).as_posix())
            held.append(rgba)
        if len(held) == _BLOCK:
            prints.append(likeness.prints(np.stack(held)))
            held = []
    if held:
        prints.append(likeness.prints(np.stack(held)))
    if not names:
        raise UsageError(
            f"real = {folder}: it holds no PNG files of {size} x {size} pixels.",
            remedy="Name the folder that the model was trained on.",
        )
    return Real(folder, tuple(names), np.concatenate(prints))


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        return picture.read(path, _LONGEST)
    except (OSError, ValueError) as error:
        raise CorruptError(f"{path}: {error}.") from error
