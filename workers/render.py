"""Rendering one shard: samples in tiles of a fixed size, which mix contexts. Knows no Celery."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.dataset.refusals import Unfilled
from core.dataset.shard import Packed, Packer
from core.request.contexts import dense
from core.request.plan import Plan, Sample, Shard
from core.request.quality import Quality
from core.request.spec import Request
from core.sprites.given import Given
from workers.finish import Finish, finish
from workers.quality import choose


class Renderer(Protocol):
    """Makes sprites [N, S, S, 4] of N <= tile contexts [N, K], one noise key each.

    `given` are the pictures that they start from, if they do.
    """

    @property
    def tile(self) -> int: ...

    def render(
        self,
        contexts: NDArray[np.float32],
        negatives: NDArray[np.float32] | None,
        keys: Sequence[bytes],
        request: Request,
        on_step: Callable[[], None],
        given: Given | None = None,
    ) -> NDArray[np.uint8]: ...


class Progress(Protocol):
    """Hears how a shard gets on, and may raise to end it."""

    def step(self) -> None: ...

    def rendered(self, samples: int) -> None: ...

    def finishing(self) -> None: ...


class Unwatched:
    """Progress that nobody waits for."""

    def step(self) -> None:
        """Nothing to tell."""

    def rendered(self, samples: int) -> None:
        """Nothing to tell."""

    def finishing(self) -> None:
        """Nothing to tell."""


def render_shard(
    plan: Plan,
    shard: Shard,
    renderer: Renderer,
    progress: Progress,
    given_up: Mapping[str, str] = MappingProxyType({}),
) -> Packed:
    """Render and pack a shard. Its bytes are a function of the plan and of the renderer.

    Left out are the samples with the keys in `given_up`, each for the reason there. A thread packs
    each tile while the next is rendered: the device need not wait for it. The last needs none.
    """
    lost = [_lost(each, given_up) for each in plan.samples(shard) if each.key in given_up]
    samples = [each for each in plan.samples(shard) if each.key not in given_up]
    rules = plan.request.quality
    if rules is not None:
        return _render_chosen(plan, rules, samples, renderer, progress, lost)
    packer, finished = Packer(), finishing(plan, renderer, progress)
    drawn = _counted(tiles(plan, samples, renderer, progress), progress)
    packed: list[Future[None]] = []
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pack") as packing:
        for tile, images in drawn:
            if tile[-1] is not samples[-1]:
                packed.append(packing.submit(_pack, packer, finished, tile, images))
        progress.finishing()
        for each in packed:
            each.result()
    if samples:
        _pack(packer, finished, tile, images)
    return packer.finish(lost)


def render_samples(
    plan: Plan, samples: Sequence[Sample], renderer: Renderer, progress: Progress
) -> NDArray[np.uint8]:
    """Sprites [N, S, S, 4] of samples with the noise that they name, as the dataset holds them."""
    drawn = _counted(tiles(plan, samples, renderer, progress), progress)
    images = np.concatenate([images for _, images in drawn])
    return finishing(plan, renderer, progress)(images)


def _render_chosen(
    plan: Plan,
    rules: Quality,
    samples: Sequence[Sample],
    renderer: Renderer,
    progress: Progress,
    lost: Sequence[Unfilled],
) -> Packed:
    """Render until each sample keeps the rules, or is given up."""
    drawn, finished = 0, finishing(plan, renderer, progress)

    def draw(wanted: Sequence[Sample]) -> Iterator[tuple[Sequence[Sample], NDArray[np.uint8]]]:
        nonlocal drawn
        for tile, images in tiles(plan, wanted, renderer, progress):
            yield tile, finished(images)
            drawn += len(tile)
            progress.rendered(min(drawn, len(samples)))

    chosen = choose(plan, rules, samples, draw)
    progress.finishing()
    packer, unfilled = Packer(prints=rules.apart is not None), list(lost)
    for each in chosen:
        if each.image is None:
            unfilled.append(each.unfilled)
        else:
            packer.add([each.sample], each.image[None], [each.scores])
    return packer.finish(unfilled)


def _lost(sample: Sample, given_up: Mapping[str, str]) -> Unfilled:
    return Unfilled(sample.number, sample.key, sample.context.label, {}, given_up[sample.key])


def tiles(
    plan: Plan, samples: Sequence[Sample], renderer: Renderer, progress: Progress
) -> Iterator[tuple[Sequence[Sample], NDArray[np.uint8]]]:
    """Samples with their sprites as the renderer makes them, tile by tile."""
    by_words = plan.request.sampling.text_guidance is not None
    steered = by_words or any(entry.negative is not None for entry in plan.request.contexts)
    for tile in _cut(samples, renderer.tile):
        images = renderer.render(
            _contexts(tile, plan.spec.context_length),
            _negatives(tile, plan.spec.context_length, by_words) if steered else None,
            [sample.noise_key for sample in tile],
            plan.request,
            progress.step,
            _given(tile),
        )
        yield tile, images


def _counted(
    drawn: Iterator[tuple[Sequence[Sample], NDArray[np.uint8]]], progress: Progress
) -> Iterator[tuple[Sequence[Sample], NDArray[np.uint8]]]:
    """The tiles, telling after each how many samples they are by then."""
    done = 0
    for tile, images in drawn:
        yield tile, images
        done += len(tile)
        progress.rendered(done)


def _cut(samples: Sequence[Sample], size: int) -> Iterator[Sequence[Sample]]:
    """Samples in tiles: those of one walk the same steps, so they start from pictures alike."""
    for _, alike in itertools.groupby(samples, _share):
        run = list(alike)
        yield from (run[start : start + size] for start in range(0, len(run), size))


def _share(sample: Sample) -> float | None:
    return sample.context.start.share if sample.context.start else None


def _given(tile: Sequence[Sample]) -> Given | None:
    share = _share(tile[0])
    starts = [sample.context.start for sample in tile if sample.context.start]
    if share is None:
        return None
    return Given(
        np.stack([start.pixels for start in starts]),
        np.stack([start.keep for start in starts]),
        share,
    )


def finishing(plan: Plan, renderer: Renderer, progress: Progress) -> Finish:
    """What makes of a plan's rendered sprites what its dataset holds."""
    return finish(plan, lambda samples: _drawn(plan, samples, renderer, progress))


def _drawn(
    plan: Plan, samples: Sequence[Sample], renderer: Renderer, progress: Progress
) -> NDArray[np.uint8]:
    return np.concatenate([images for _, images in tiles(plan, samples, renderer, progress)])


def _pack(
    packer: Packer, finished: Finish, tile: Sequence[Sample], images: NDArray[np.uint8]
) -> None:
    packer.add(tile, finished(images))


def _contexts(samples: Sequence[Sample], length: int) -> NDArray[np.float32]:
    return np.stack([dense(sample.context.terms, length) for sample in samples])


def _negatives(samples: Sequence[Sample], length: int, by_words: bool) -> NDArray[np.float32]:
    """No negative is no context: a tile may mix both, whatever the cut into shards.

    `by_words` it is the class alone where words stand beside it.
    """
    terms = (
        each.context.unworded if by_words and each.context.negative is None
        else each.context.negative or ()
        for each in samples
    )  # fmt: skip
    return np.stack([dense(each, length) for each in terms])
