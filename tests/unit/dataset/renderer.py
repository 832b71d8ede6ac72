"""Renders a bench's sprites again, as it did, and counts what it is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.dataset import shard
from core.dataset.manifest import Manifest
from core.dataset.rendering import Rendering
from core.request.plan import Shard
from tests.unit.dataset.bench import Bench, sprite


@dataclass
class Renderer:
    """One that is not `alike` draws other sprites."""

    bench: Bench
    numerics: Mapping[str, Any] = field(
        default_factory=lambda: {"device": "cpu", "dtype": "float32"}
    )
    alike: bool = True
    started: int = 0
    asked: list[int] = field(default_factory=list)

    def sprites(self, wanted: Sequence[tuple[int, str]]) -> NDArray[np.uint8]:
        self.asked += [number for number, _ in wanted]
        drawn = np.stack([sprite(bytes.fromhex(seed)) for _, seed in wanted])
        return drawn if self.alike else 255 - drawn

    def shard(self, first: int, count: int) -> bytes:
        samples = list(self.bench.plan.samples(Shard(0, first, count)))
        self.asked += [sample.number for sample in samples]
        images = self.bench.images(samples)
        return shard.pack(samples, images if self.alike else 255 - images).tar

    def __call__(self, text: str, manifest: Manifest) -> AbstractContextManager[Rendering]:
        return self._start()

    @contextmanager
    def _start(self) -> Iterator[Rendering]:
        self.started += 1
        yield self
