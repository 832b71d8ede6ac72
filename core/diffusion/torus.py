"""Networks that draw on a torus: what leaves one side of a sprite comes in at the other."""

import copy
from dataclasses import replace
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional

from core.diffusion.layers import Convolution
from core.diffusion.model import Model
from core.errors import ModelError

Sides = Literal["x", "y", "both"]


def on_torus(model: Model, sides: Sides) -> Model:
    """A model of the same weights that draws sprites which tile across `sides`.

    Its convolutions pad with the opposite side's pixels, so that a seam is drawn as inner pixels
    are; nothing has to be learnt anew. Raises ModelError.
    """
    network = model.denoiser
    if not isinstance(network, nn.Module):
        raise ModelError(f"the model {model.spec.name} has no network whose sides could be joined.")
    weights = {id(each): each for each in (*network.parameters(), *network.buffers())}
    joined = copy.deepcopy(network, dict[int, Any](weights))
    for part in joined.modules():
        if isinstance(part, Convolution) and part.padding != (0, 0):
            _join(part, sides)
    return replace(model, denoiser=joined)


def _join(convolution: Convolution, sides: Sides) -> None:
    height, width = (int(size) for size in convolution.padding)
    convolution.padding = (0, 0)
    convolution.packed = None  # that was for images without their frame
    across = "circular" if sides in ("x", "both") else "constant"
    along = "circular" if sides in ("y", "both") else "constant"

    def pad(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = functional.pad(given[0], (width, width, 0, 0), across)
        return functional.pad(x, (0, 0, height, height), along), *given[1:]

    convolution.register_forward_pre_hook(pad)
