"""Weights as files: where the bundled ones are and what a file says of itself. No torch."""

import hashlib
import json
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from core.errors import ModelError
from core.weights.spec import ModelSpec, SamplingDefaults

__all__ = [
    "METADATA_KEY",
    "ModelSpec",
    "SamplingDefaults",
    "bundled",
    "judges",
    "read_spec",
    "sha256",
]

METADATA_KEY = "spritemill"
_BUNDLED = "dungeon-32.safetensors"
_MOST_HEADER = 10 * 2**20


def bundled() -> Path:
    """The model that comes with Spritemill."""
    return Path(__file__).with_name(_BUNDLED)


def judges() -> tuple[Path, ...]:
    """What quality control by encoder looks with: classifier, and prints of training sprites."""
    names = ("encoder-32.safetensors", "neighbours-32.safetensors")
    return tuple(Path(__file__).with_name(name) for name in names)


def sha256(path: Path) -> str:
    """64 hex digits that name the weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_spec(path: Path) -> ModelSpec:
    """What a weights file says of itself, read from its header alone. Raises ModelError."""
    try:
        with path.open("rb") as file:
            header = json.loads(_header(file))
        return ModelSpec.model_validate_json(header["__metadata__"][METADATA_KEY])
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}.", remedy="Give a model's file."
        ) from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        lacks = isinstance(error, KeyError)
        problem = "its header does not describe one" if lacks else str(error)
        raise ModelError(
            f"{path.name} is not a Spritemill model: {problem}.",
            remedy="Give a file that `spritemill train` has written.",
        ) from error


def _header(file: BinaryIO) -> bytes:
    """The JSON header of a safetensors file: its length in 8 bytes, then itself."""
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= _MOST_HEADER:
        raise ValueError("its header has no sensible length")
    header = file.read(length)
    if len(header) < length:
        raise ValueError("it ends within its header")
    return header
