"""One sample's record: what the shard's JSON and the index say of it."""

import hashlib
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from core.errors import CorruptError

Key = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,100}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Record:
    """`seed` is the key of this sprite's own noise, `sha256` the hash of its RGBA pixels."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")

    key: Key
    number: Annotated[int, Field(ge=0)]
    context_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    context_label: Annotated[str, Field(alias="context")]
    class_name: Annotated[str, Field(alias="class")]
    caption: str
    index: Annotated[int, Field(ge=0)]
    seed: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    sha256: Sha256
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The key without its number: one name for all samples of a context."""
        return self.key.rpartition("-")[0]

    def encode(self) -> bytes:
        """Compact JSON in UTF-8, in the order of the fields."""
        return _ADAPTER.dump_json(self, by_alias=True)


_ADAPTER = TypeAdapter(Record)


def decode(raw: bytes) -> Record:
    """The record of its JSON. Raises CorruptError."""
    try:
        return _ADAPTER.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CorruptError(f"not a sample's record: {where}: {first['msg']}") from None


def pixels_sha256(rgba: NDArray[np.uint8]) -> str:
    """SHA-256 of the pixels [H, W, 4], row by row, four bytes each."""
    return hashlib.sha256(np.ascontiguousarray(rgba).data).hexdigest()
