"""A small job, rendered to seeded noise, and its dataset in a folder."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.dataset import assembly, shard
from core.dataset.layout import MANIFEST, dataset_prefix, part_key, shard_key, shard_name
from core.dataset.manifest import Manifest, ShardFile, decode
from core.dataset.record import Record
from core.dataset.source import FolderSource
from core.request.load import parse
from core.request.plan import Plan, Sample, digest, plan
from core.settings import Settings
from core.storage import Store, connect
from core.weights.spec import ModelSpec, SamplingDefaults

JOB = "abcdefghij23"
WEIGHTS = hashlib.sha256(b"weights").hexdigest()
SPEC = ModelSpec(
    name="dungeon-32",
    title="A model for tests",
    size=32,
    channels=4,
    classes=("hero", "potion", "weapon"),
    words=("blue", "flaming", "red", "sword"),
    sigma_min=0.002,
    sigma_max=80.0,
    sigma_data=0.5,
    unet={"width": 8},
    flops=1_000_000,
    licence="CC0-1.0",
    data="none",
    trained="Never trained.",
    defaults=SamplingDefaults(sampler="dpmpp_2m", steps=12, guidance=2.0),
)
REQUEST = """
name: quickstart
seed: 7
contexts:
  - {class: potion, samples: 40}
  - {mixture: {hero: 1, potion: 0.6}, samples: 30}
  - {text: a flaming sword, negative: {text: blue}, samples: 30}
outputs: {shard_samples: 32}
"""


@dataclass(frozen=True, slots=True)
class Done:
    """A shard as the ledger tells of it."""

    number: int
    samples: int
    key: str
    sha256: str
    size: int
    part_key: str
    samples_digest: str


@dataclass
class Bench:
    """A job's plan with the store that its shards go to."""

    store: Store
    root: Path
    plan: Plan
    finished: assembly.Finished
    done: list[Done] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root / dataset_prefix(JOB)

    @property
    def source(self) -> FolderSource:
        return FolderSource(self.folder)

    def copy(self, root: Path) -> "Bench":
        shutil.copytree(self.root, root)
        return replace(self, store=folder_store(root), root=root, done=list(self.done))

    def images(self, samples: Sequence[Sample]) -> NDArray[np.uint8]:
        return np.stack([sprite(sample.noise_key) for sample in samples])

    def render(self, number: int, without: int = -1) -> Done:
        planned = self.plan.samples(self.plan.shard(number))
        samples = [sample for sample in planned if sample.number != without]
        packed = shard.pack(samples, self.images(samples))
        sha256 = hashlib.sha256(packed.tar).hexdigest()
        key = shard_key(JOB, number, sha256)
        part = part_key(JOB, number, hashlib.sha256(packed.part).hexdigest())
        self.store.put(key, packed.tar)
        self.store.put(part, packed.part)
        size = len(packed.tar)
        return Done(number, packed.samples, key, sha256, size, part, packed.digest)

    def render_all(self) -> list[Done]:
        self.done = [self.render(number) for number in range(self.plan.shard_count)]
        return self.done

    def assemble(self, **changes: Any) -> Manifest:
        return assembly.assemble(self.store, replace(self.finished, **changes), self.done)

    def manifest(self) -> Manifest:
        return decode((self.folder / MANIFEST).read_bytes())

    def forge(self, **changes: Any) -> None:
        """Change the manifest and seal it anew, as one would who knows the format."""
        forged = self.manifest().model_copy(update=changes).sealed()
        (self.folder / MANIFEST).write_bytes(forged.encode())

    def forge_shard(self, number: int, data: bytes) -> None:
        """Put other bytes in a shard's place, with name, hash and size to match."""
        manifest = self.manifest()
        old = manifest.shards[number]
        sha256 = hashlib.sha256(data).hexdigest()
        new = ShardFile(
            number=number,
            name=shard_name(number, sha256),
            sha256=sha256,
            size=len(data),
            samples=old.samples,
        )
        (self.folder / old.name).unlink()
        (self.folder / new.name).write_bytes(data)
        self.forge(shards=(*manifest.shards[:number], new, *manifest.shards[number + 1 :]))

    def records(self, number: int) -> list[tuple[Record, bytes]]:
        name = self.manifest().shards[number].name
        return list(shard.unpack(BytesIO((self.folder / name).read_bytes()), 32))


def sprite(seed: bytes) -> NDArray[np.uint8]:
    """32 x 32 pixels that differ for each seed, half of them transparent."""
    image = np.random.default_rng(list(seed)).integers(0, 256, (32, 32, 4), dtype=np.uint8)
    image[..., 3] = np.where(image[..., 3] < 128, 0, 255)
    image[image[..., 3] == 0] = 0
    return image


def folder_store(root: Path) -> Store:
    return connect(Settings(store_url=str(root)))


def job(store: Store, root: Path, text: str) -> Bench:
    """A job of a request's text, nothing rendered yet."""
    made = plan(parse(text), SPEC)
    finished = assembly.Finished(
        job=JOB,
        name=made.request.name,
        request_text=text,
        request_digest=digest(made, WEIGHTS),
        weights=WEIGHTS,
        spec=SPEC,
        numerics={"device": "cpu", "dtype": "float32"},
        created=1_780_000_000.0,
    )
    return Bench(store, root, made, finished)


def finished_dataset(root: Path) -> Bench:
    """A dataset of `REQUEST` in a folder, of weights that nobody has."""
    made = job(folder_store(root), root, REQUEST)
    made.render_all()
    assembly.clean(made.store, made.assemble())
    return made
