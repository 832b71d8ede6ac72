"""What becomes of sprites between the renderer and the dataset: fewer colours, of one palette."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from core.request.plan import Plan, Sample
from core.sprites import palette

_PILOTS = 128
_chosen: WeakKeyDictionary[Plan, tuple[str, ...]] = WeakKeyDictionary()

Images = NDArray[np.uint8]
Draw = Callable[[Sequence[Sample]], Images]
"""Draws samples: their sprites [N, S, S, 4] as the renderer makes them."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Makes sprites [N, S, S, 4] what the dataset holds, each by itself."""

    colours: int | None = None
    palette: tuple[str, ...] | None = None

    def __call__(self, images: Images) -> Images:
        if self.colours is not None:
            images = palette.flatten(images, self.colours)
        if self.palette is not None:
            images = palette.snap(images, self.palette)
        return images


def finish(plan: Plan, draw: Draw) -> Finish:
    """How a plan's sprites are finished.

    Colours for the whole dataset are chosen of the first drawings of samples that are spread over
    it. Every worker draws them itself, once: so the colours are a function of the plan.
    """
    pixels = plan.request.pixels
    if not isinstance(pixels.palette, int):
        return Finish(pixels.colours, pixels.palette)
    if plan not in _chosen:
        pilots = Finish(pixels.colours)(draw(list(plan.spread(_PILOTS))))
        _chosen[plan] = palette.choose(pilots, pixels.palette)
    return Finish(pixels.colours, _chosen[plan])
