"""Pictures inside a request: files are read where it is written, and travel in it as PNG data.

So whoever takes a request finds in it all that decides the sprites, and opens no path of its.
"""

import base64
import functools
import hashlib
import re
import stat
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import Fault, RequestError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_BYTES = 2**20
MOST_PIXELS = 256
"""Of a side."""

_PREFIX = "data:image/png;base64,"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEYS = ("image", "mask")
_MAY_NAME = re.compile(r"\b(?:image|mask)\b")


def mentioned(text: str) -> bool:
    """Whether a request's text may name pictures at all: most do not."""
    return _MAY_NAME.search(text) is not None


def inline(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A request's plain values with its pictures' files, which lie below `folder`, as data.

    Raises RequestError with every file that cannot be taken.
    """
    faults: list[Fault] = []
    for number, entry in enumerate(_contexts(values)):
        for key in _KEYS:
            name = entry.get(key)
            if isinstance(name, str) and not name.startswith("data:"):
                try:
                    entry[key] = _encoded(_read(name, folder))
                except ValueError as error:
                    faults.append(Fault(f"contexts[{number}].{key}", name, str(error)))
    if faults:
        raise RequestError(faults)
    return values


def checked(data: str) -> str:
    """PNG data as a request holds it. Raises ValueError, so that pydantic tells the field."""
    pixels(data)
    return data


@functools.lru_cache(maxsize=256)
def pixels(data: str) -> "NDArray[np.uint8]":
    """The picture [H, W, 4] of a request's PNG data. Raises ValueError."""
    if not data.startswith(_PREFIX):
        raise ValueError(
            f"it must be {_PREFIX}...; only the command line reads files that a request names"
        )
    if len(data) > 2 * MOST_BYTES:
        raise ValueError(f"{len(data):,} characters are too many")
    return _decoded(base64.b64decode(data.removeprefix(_PREFIX), validate=True))


def name(data: str | None) -> str | None:
    """64 hex digits of a picture's pixels, if there is one: its file's compression is no matter."""
    if data is None:
        return None
    found = pixels(data)
    return hashlib.sha256(f"{found.shape}".encode() + found.tobytes()).hexdigest()


def drawn_anew(mask: str) -> "NDArray[np.bool_]":
    """Where [H, W] a mask is light, which is where the model draws. Raises ValueError."""
    seen = pixels(mask).astype("uint32")
    light = seen[..., :3].sum(axis=2) * seen[..., 3]
    free: NDArray[np.bool_] = light * 2 >= 3 * 255 * 255
    return free


def _contexts(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entries of a request that is not checked yet."""
    contexts = values.get("contexts")
    for entry in contexts if isinstance(contexts, list) else ():
        yield entry if isinstance(entry, dict) else {}


def _read(name: str, folder: Path) -> bytes:
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ValueError("it must lie beside the request, or in a folder there")
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no file")
        if found.st_size > MOST_BYTES:
            raise ValueError(f"{found.st_size:,} bytes are too many; at most {MOST_BYTES:,}")
        return path.read_bytes()[: MOST_BYTES + 1]
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from error


def _encoded(png: bytes) -> str:
    """Data of a PNG file's pixels alone, whatever else the file holds."""
    from PIL import Image

    written = BytesIO()
    Image.fromarray(_decoded(png)).save(written, "PNG")
    return _PREFIX + base64.b64encode(written.getvalue()).decode("ascii")


def _decoded(png: bytes) -> "NDArray[np.uint8]":
    from core.sprites import picture

    if not png.startswith(_SIGNATURE):
        raise ValueError("it is no PNG")
    found = picture.read(BytesIO(png), MOST_PIXELS, formats=("PNG",))
    found.setflags(write=False)
    return found
