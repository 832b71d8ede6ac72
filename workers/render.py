"""Rendering one shard: samples in tiles of a fixed size, which mix contexts. Knows no Celery."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.dataset.shard import Packed, pack
from core.request.contexts import dense
from core.request.plan import Plan, Sample, Shard
from core.request.spec import Request
from core.sprites import palette


class Renderer(Protocol):
    """Makes sprites [N, S, S, 4] of N <= tile contexts [N, K], one noise key each."""

    @property
    def tile(self) -> int: ...

    def render(
        self,
        contexts: NDArray[np.float32],
        negatives: NDArray[np.float32] | None,
        keys: Sequence[bytes],
        request: Request,
        on_step: Callable[[], None],
    ) -> NDArray[np.uint8]: ...


class Progress(Protocol):
    """Hears how a shard gets on, and may raise to end it."""

    def step(self) -> None: ...

    def rendered(self, samples: int) -> None: ...

    def finishing(self) -> None: ...


def render_shard(plan: Plan, shard: Shard, renderer: Renderer, progress: Progress) -> Packed:
    """Render and pack a shard. Its bytes are a function of the plan and of the renderer."""
    samples = list(plan.samples(shard))
    steered = any(entry.negative is not None for entry in plan.request.contexts)
    tiles = []
    for start in range(0, len(samples), renderer.tile):
        tile = samples[start : start + renderer.tile]
        tiles.append(
            renderer.render(
                _contexts(tile, plan.spec.context_length),
                _negatives(tile, plan.spec.context_length) if steered else None,
                [sample.noise_key for sample in tile],
                plan.request,
                progress.step,
            )
        )
        progress.rendered(start + len(tile))
    progress.finishing()
    images = np.concatenate(tiles)
    if plan.request.pixels.palette:
        images = palette.snap(images, plan.request.pixels.palette)
    return pack(samples, images)


def _contexts(samples: Sequence[Sample], length: int) -> NDArray[np.float32]:
    return np.stack([dense(sample.context.terms, length) for sample in samples])


def _negatives(samples: Sequence[Sample], length: int) -> NDArray[np.float32]:
    """No negative is no context: a tile may mix both, whatever the cut into shards."""
    return np.stack([dense(sample.context.negative or (), length) for sample in samples])
