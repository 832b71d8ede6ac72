"""The manifest: the last file of a dataset, which names and hashes all others."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.dataset.record import Key, Sha256
from core.errors import CorruptError
from core.weights.spec import ModelSpec

MAX_SHARD_SAMPLES = 65536
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Part):
    """One file of the dataset, by its name inside it."""

    name: Literal["request.yaml", "index.parquet", "preview.png", "README.md"]
    sha256: Sha256
    size: Count


class ShardFile(_Part):
    """One shard: `samples` sprites in a tar file."""

    number: Count
    name: Annotated[str, Field(pattern=r"^shards/[0-9]{6,12}-[0-9a-f]{16}\.tar$")]
    sha256: Sha256
    size: Count
    samples: Annotated[int, Field(ge=0, le=MAX_SHARD_SAMPLES)]


class Quarantined(_Part):
    """A sample that could not be rendered, and why."""

    number: Count
    key: Key
    reason: str


class Manifest(_Part):
    """All that a dataset is. `seal` hashes the rest of the manifest."""

    format: Literal["spritemill-dataset/1"] = "spritemill-dataset/1"
    job: Annotated[str, Field(pattern=r"^[a-z0-9]{12}$")]
    name: str
    created: str
    version: str
    renderer_version: int
    request_digest: Sha256
    weights: Sha256
    model: ModelSpec
    numerics: dict[str, Any]
    samples: Count
    contexts: Count
    dataset_digest: Sha256
    files: tuple[File, ...]
    shards: tuple[ShardFile, ...]
    quarantined: tuple[Quarantined, ...] = ()
    seal: Sha256 | Literal[""] = ""

    def sealed(self) -> "Manifest":
        """The same with its seal set."""
        text = json.dumps(
            self.model_dump(mode="json", exclude={"seal"}), sort_keys=True, separators=(",", ":")
        )
        return self.model_copy(update={"seal": hashlib.sha256(text.encode()).hexdigest()})

    def parts(self) -> tuple[File | ShardFile, ...]:
        """Every file but the manifest."""
        return (*self.files, *self.shards)

    def sizes(self) -> dict[str, int]:
        """Name and size of every file but the manifest."""
        return {file.name: file.size for file in self.parts()}

    def encode(self) -> bytes:
        return self.model_dump_json(indent=1).encode() + b"\n"


def decode(raw: bytes) -> Manifest:
    """The manifest of its JSON, whatever its seal. Raises CorruptError."""
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CorruptError(
            f"not a dataset's manifest: {where}: {first['msg']}.",
            remedy="Fetch it from the store again.",
        ) from None
