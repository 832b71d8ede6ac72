"""The manifest: the last file of a dataset, which names and hashes all others."""

import hashlib
import json
from collections.abc import Iterator
from itertools import count, islice
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.dataset.record import Key, Sha256
from core.errors import CorruptError
from core.request.names import Name
from core.weights.spec import ModelSpec

MAX_SHARD_SAMPLES = 65536
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Part):
    """One file of the dataset, by its name inside it."""

    name: Literal["request.yaml", "index.parquet", "preview.png", "report.html", "README.md"]
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
    """A sample that could not be made, and why; `refused` counts its drawings by quality rule."""

    number: Count
    key: Key
    reason: str
    refused: dict[str, int] = {}


class Ancestor(_Part):
    """A dataset that this one extends: its first `shards` shards are that one's, byte for byte."""

    job: Annotated[str, Field(pattern=r"^[a-z0-9]{12}$")]
    digest: Sha256
    samples: Count
    shards: Count
    numerics: dict[str, Any]


class Manifest(_Part):
    """All that a dataset is. `seal` hashes the rest of the manifest.

    Times are ISO 8601 in UTC: when the job was accepted, claimed first, and finished. `numerics` is
    the class of what this job rendered; each of its `ancestors`, the oldest first, has its own.
    `refused` counts the drawings that quality control refused, by rule, ancestors' included.
    """

    format: Literal["spritemill-dataset/1"] = "spritemill-dataset/1"
    job: Annotated[str, Field(pattern=r"^[a-z0-9]{12}$")]
    name: Name
    created: str
    started: str = ""
    finished: str = ""
    render_seconds: float = 0.0
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
    refused: dict[str, int] = {}
    ancestors: tuple[Ancestor, ...] = ()
    seal: Sha256 | Literal[""] = ""

    def sealed(self) -> "Manifest":
        """The same with its seal set."""
        return self.model_copy(update={"seal": _seal(self.model_dump(mode="json"))})

    def numerics_of(self, shard: int) -> dict[str, Any]:
        """The numerics class that a shard was rendered with."""
        older = (each.numerics for each in self.ancestors if shard < each.shards)
        return next(older, self.numerics)

    def parts(self) -> tuple[File | ShardFile, ...]:
        """Every file but the manifest."""
        return (*self.files, *self.shards)

    def sizes(self) -> dict[str, int]:
        """Name and size of every file but the manifest."""
        return {file.name: file.size for file in self.parts()}

    def failed(self) -> list[Quarantined]:
        """The samples that could not be rendered; the other quarantined ones were all refused."""
        return [sample for sample in self.quarantined if not sample.refused]

    def encode(self) -> bytes:
        return self.model_dump_json(indent=1).encode() + b"\n"


class Footer(_Part):
    """What the index keeps of the rest: the manifest, sealed without its files, and the request."""

    manifest: Manifest
    request: str


def numbers(manifest: Manifest) -> Iterator[list[int]]:
    """The numbers of the samples of each shard."""
    left_out = {sample.number for sample in manifest.quarantined}
    there = (number for number in count() if number not in left_out)
    for shard in manifest.shards:
        yield list(islice(there, shard.samples))


def sound(raw: bytes) -> bool:
    """Whether a manifest's JSON is the one that was sealed, whatever version wrote it."""
    document = json.loads(raw)
    return bool(document.get("seal") == _seal(document))


def _seal(document: dict[str, Any]) -> str:
    sealed = {name: value for name, value in document.items() if name != "seal"}
    text = json.dumps(sealed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


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
