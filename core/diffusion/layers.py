"""The layers of both networks, and how a CPU draws with each in one call of a kernel."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.diffusion.kernels.cpu import Activation, Fold, Join, Kernels, Normalise

_ONEDNN = torch.ops.mkldnn
MOST_LEVELS = 128
"""How many levels are remembered; of a longer walk each is embedded again in every tile."""


class Convolution(nn.Conv2d):
    """A convolution, to which an image of the size of its result may be added.

    With `packs` the weights are brought at the first image into the order that oneDNN reads, which
    else is done at every call: the numbers are the same. What is `fused` adds, and activates by
    `gelu`, before it rounds.
    """

    packed: Tensor | None

    def __init__(
        self, before: int, after: int, size: int, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__(before, after, size, stride, padding)
        self.register_buffer("packed", None, persistent=False)
        self.packs = self.fused = self.gelu = False

    def forward(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        if not self.packs:
            y = super().forward(x)
            return y if plus is None else torch.add(plus, y)
        how = (self.padding, self.stride, self.dilation, self.groups)
        if self.packed is None:
            self.packed = _ONEDNN._reorder_convolution_weight(self.weight, *how, x.shape)
        given = (self.packed, self.bias, *how)
        if plus is not None and self.fused:
            add: tuple[Any, ...] = ("add", 1.0, None, [], None)
            fused: Tensor = _ONEDNN._convolution_pointwise.binary(x, plus, *given, *add)
            return fused
        then: tuple[Any, ...] = ("gelu", [], "none") if self.gelu else ("none", [], "")
        y = _ONEDNN._convolution_pointwise(x, *given, *then)
        return y if plus is None else torch.add(plus, y)


class Normalisation(nn.GroupNorm):
    """Groups of channels to zero mean and unit variance; scaled and shifted, and activated.

    `film` [B, 2 C] holds a scale, less 1, and a shift for each channel of each image.
    """

    def __init__(self, groups: int, channels: int, activation: Activation = "none") -> None:
        super().__init__(groups, channels)
        self.activation: Activation = activation
        self.kernel: Normalise | None = None

    def forward(self, x: Tensor, film: Tensor | None = None) -> Tensor:
        if self.kernel is not None:
            learnt = (self.weight, self.bias)
            return self.kernel(x, *learnt, self.num_groups, self.eps, self.activation, film)
        y = super().forward(x)
        if film is not None:
            scale, shift = film[:, :, None, None].chunk(2, dim=1)
            y = y * (1 + scale) + shift
        if self.activation == "none":
            return y
        return functional.silu(y) if self.activation == "silu" else functional.relu(y)


class Joined(nn.Module):
    """An image of `factor` times the size beside another one, in more channels."""

    def __init__(self, factor: int = 1) -> None:
        super().__init__()
        self.factor = factor
        self.kernel: Join | None = None

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        if self.kernel is not None:
            return self.kernel(x, beside, self.factor)
        if self.factor > 1:
            x = functional.interpolate(x, scale_factor=float(self.factor), mode="nearest")
        return torch.cat([x, beside], dim=1)


class Folded(nn.Module):
    """Squares of `factor` x `factor` pixels as channels; `back` makes pixels of them again."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.kernels: tuple[Fold, Fold] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.kernels is not None:
            return self.kernels[0](x, self.factor)
        folded = functional.pixel_unshuffle(x, self.factor)
        return folded.contiguous(memory_format=torch.channels_last)

    def back(self, x: Tensor) -> Tensor:
        if self.kernels is not None:
            return self.kernels[1](x, self.factor)
        return functional.pixel_shuffle(x, self.factor)


class Remembered(nn.Module):
    """An embedding that answers at once when it is asked one of the last things again.

    A sampler tells the same contexts at every step, and the same levels for every tile. For CPUs: a
    GPU would have to be waited for.
    """

    def __init__(self, embed: Callable[[Tensor], Tensor], most: int) -> None:
        super().__init__()
        self.embed = embed
        self.most = most
        self._known: dict[bytes, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        asked = x.contiguous().view(torch.uint8).numpy().tobytes()
        embedded = self._known.pop(asked, None)
        if embedded is None:
            embedded = self.embed(x)
        self._known[asked] = embedded
        if len(self._known) > self.most:
            del self._known[next(iter(self._known))]
        return embedded


def pack(network: nn.Module) -> None:
    """Have its convolutions draw with packed weights, where oneDNN does them."""
    known = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch's
    for part in network.modules():
        if isinstance(part, Convolution):
            part.packs = known and part.weight.dtype in (torch.float32, torch.bfloat16)


def fuse(network: nn.Module, kernels: Kernels) -> None:
    """Have its layers draw in one call each; pixels are rounded less often than without."""
    for part in network.modules():
        if isinstance(part, Normalisation) and part.num_channels > 1:  # it takes pairs of them
            part.kernel = kernels.normalise
        elif isinstance(part, Joined):
            part.kernel = kernels.join
        elif isinstance(part, Folded):
            part.kernels = kernels.fold, kernels.unfold
        elif isinstance(part, Convolution):
            part.fused = part.packs
