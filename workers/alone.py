"""Rendering a shard that keeps failing sample by sample: those that fail alone are left out."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.dataset.shard import Packed
from core.errors import SpritemillError
from core.request.plan import Plan, Shard, noise_key
from core.request.spec import Request
from core.sprites.given import Given
from workers.lease import LeaseEnded
from workers.memory import out_of_memory
from workers.render import Progress, Renderer, render_shard

Trying = Callable[[str | None], None]
"""Hears the key of the sample that is rendered next, and None after the last."""

GiveUp = Callable[[str, str], None]
"""Hears the key of a sample that failed, and why."""


class _SampleFailedError(Exception):
    def __init__(self, key: str, error: Exception) -> None:
        super().__init__(key)
        self.key = key
        self.reason = f"{type(error).__name__}: {error}"


class _Alone:
    """A renderer of tiles of one, which says whose drawing it begins and keeps what it drew."""

    tile = 1

    def __init__(
        self, renderer: Renderer, owners: Mapping[bytes, str], trying: Trying,
        drawn: dict[bytes, NDArray[np.uint8]],
    ) -> None:  # fmt: skip
        self._renderer = renderer
        self._owners = owners
        self._trying = trying
        self._drawn = drawn

    def render(
        self,
        contexts: NDArray[np.float32],
        negatives: NDArray[np.float32] | None,
        keys: Sequence[bytes],
        request: Request,
        on_step: Callable[[], None],
        given: Given | None = None,
    ) -> NDArray[np.uint8]:
        (key,) = keys
        if key not in self._drawn:
            owner = self._owners.get(key)  # a pilot of the palette may be another's, or given up
            self._trying(owner)
            try:
                drawn = self._renderer.render(contexts, negatives, keys, request, on_step, given)
            except (LeaseEnded, SpritemillError):
                raise
            except Exception as error:
                if owner is None or out_of_memory(error):
                    raise
                raise _SampleFailedError(owner, error) from error
            self._drawn[key] = drawn
        return self._drawn[key]


def render_alone(
    plan: Plan,
    shard: Shard,
    renderer: Renderer,
    progress: Progress,
    given_up: Mapping[str, str],
    trying: Trying,
    give_up: GiveUp,
) -> Packed:
    """`render_shard` in tiles of one, without the samples that were given up or now fail."""
    lost, drawn = dict(given_up), dict[bytes, NDArray[np.uint8]]()
    while True:
        alone = _Alone(renderer, _owners(plan, shard, lost), trying, drawn)
        try:
            packed = render_shard(plan, shard, alone, progress, lost)
        except _SampleFailedError as failed:
            give_up(failed.key, failed.reason)
            lost[failed.key] = failed.reason
        else:
            trying(None)
            return packed


def _owners(plan: Plan, shard: Shard, lost: Collection[str]) -> dict[bytes, str]:
    """The sample's key of every noise that the shard may draw for a sample that is not lost.

    A lost one that chooses the dataset's palette is drawn for that all the same: if it fails again,
    that is the shard's failure, since there is nothing left to leave out.
    """
    tries = plan.request.quality.tries if plan.request.quality else 1
    seed = plan.request.seed
    return {
        noise_key(seed, sample.context.id, sample.index, retry): sample.key
        for sample in plan.samples(shard)
        if sample.key not in lost
        for retry in range(tries)
    }
