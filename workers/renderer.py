"""The renderer that samples a diffusion model: torch is loaded with this module."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.diffusion import device
from core.diffusion.model import Model, load_model
from core.diffusion.tile import render_tile
from core.request.spec import Request


class DiffusionRenderer:
    """A model on this machine's device."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.tile = device.tile_size(model.device)

    def render(
        self,
        contexts: NDArray[np.float32],
        negatives: NDArray[np.float32] | None,
        keys: Sequence[bytes],
        request: Request,
        on_step: Callable[[], None],
    ) -> NDArray[np.uint8]:
        return render_tile(
            self._model,
            contexts,
            negatives,
            keys,
            request.sampling,
            lambda _: on_step(),
            request.pixels.alpha,
        )


def load(path: Path) -> DiffusionRenderer:
    """Raises ModelError."""
    return DiffusionRenderer(load_model(path, device.pick_device()))
