"""Rendering one shard: samples in tiles of a fixed size, which mix contexts. Knows no Celery."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.dataset.shard import Packed, Packer
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
    """Render and pack a shard. Its bytes are a function of the plan and of the renderer.

    A thread packs each tile while the next is rendered: the device need not wait for it.
    """
    samples = list(plan.samples(shard))
    steered = any(entry.negative is not None for entry in plan.request.contexts)
    packer = Packer()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pack") as packing:
        packed: list[Future[None]] = []
        for start in range(0, len(samples), renderer.tile):
            tile = samples[start : start + renderer.tile]
            images = renderer.render(
                _contexts(tile, plan.spec.context_length),
                _negatives(tile, plan.spec.context_length) if steered else None,
                [sample.noise_key for sample in tile],
                plan.request,
                progress.step,
            )
            packed.append(packing.submit(_pack, packer, plan.request, tile, images))
            progress.rendered(start + len(tile))
        progress.finishing()
        for each in packed:
            each.result()
    return packer.finish()


def _pack(
    packer: Packer, request: Request, tile: Sequence[Sample], images: NDArray[np.uint8]
) -> None:
    if request.pixels.palette:
        images = palette.snap(images, request.pixels.palette)
    packer.add(tile, images)


def _contexts(samples: Sequence[Sample], length: int) -> NDArray[np.float32]:
    return np.stack([dense(sample.context.terms, length) for sample in samples])


def _negatives(samples: Sequence[Sample], length: int) -> NDArray[np.float32]:
    """No negative is no context: a tile may mix both, whatever the cut into shards."""
    return np.stack([dense(sample.context.negative or (), length) for sample in samples])
