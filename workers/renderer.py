"""The renderer that samples a diffusion model: torch is loaded with this module."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.diffusion import device
from core.diffusion.model import Model, load_model
from core.diffusion.tile import Watch, render_tile
from core.diffusion.torus import Sides, on_torus
from core.request.spec import Request
from core.settings import Settings
from core.sprites.given import Given
from workers import kernels


class DiffusionRenderer:
    """A model on this machine's device."""

    def __init__(self, model: Model, watch: Watch | None = None) -> None:
        self._models: dict[Sides | None, Model] = {None: model}
        self._watch = watch
        self.tile = device.tile_size(model.device)

    def render(
        self,
        contexts: NDArray[np.float32],
        negatives: NDArray[np.float32] | None,
        keys: Sequence[bytes],
        request: Request,
        on_step: Callable[[], None],
        given: Given | None = None,
    ) -> NDArray[np.uint8]:
        return render_tile(
            self._model(request.pixels.tile),
            contexts,
            negatives,
            keys,
            request.sampling,
            lambda _: on_step(),
            request.pixels.alpha or "binary",
            given,
            self._watch,
        )

    def _model(self, sides: Sides | None) -> Model:
        if sides is not None and sides not in self._models:
            self._models[sides] = on_torus(self._models[None], sides)
        return self._models[sides]


def load(path: Path, settings: Settings, watch: Watch | None = None) -> DiffusionRenderer:
    """`watch` wraps what its samplers walk. Raises ModelError."""
    place = device.pick_device()
    return DiffusionRenderer(load_model(path, place, kernels.chosen(settings, place)), watch)
