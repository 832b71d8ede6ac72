"""The network of the course "How Diffusion Models Work": predicts noise at a discrete time.

A small U-Net of two levels; on the way up the context multiplies and the time is added. Its module
names are those of the course, so that the course's weights load.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.diffusion.kernels.cpu import Kernels
from core.diffusion.layers import (
    MOST_LEVELS,
    Convolution,
    Joined,
    Normalisation,
    Remembered,
    fuse,
    pack,
)
from core.errors import ModelError

_GROUPS = 8
_HALF_POWER = 1.414


@dataclass(frozen=True, slots=True)
class ContextUNetConfig:
    """Sizes of the network; `context` 0 makes it unconditional. Raises ModelError."""

    channels: int = 3
    features: int = 64
    context: int = 5
    size: int = 16

    def __post_init__(self) -> None:
        if self.size < 4 or self.size % 4:
            raise ModelError(f"size = {self.size}: this network takes multiples of 4.")
        if self.features < _GROUPS or self.features % _GROUPS:
            raise ModelError(f"features = {self.features}: it takes multiples of {_GROUPS}.")


class Activated(nn.Sequential):
    """A convolution, its normalisation, and GELU."""

    def __init__(self, before: int, after: int) -> None:
        convolution = Convolution(before, after, 3, padding=1)
        super().__init__(convolution, nn.BatchNorm2d(after), nn.GELU())

    def fold(self) -> None:
        """Leave the normalisation to the convolution's weights."""
        convolution, norm = self[0], self[1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            self[0], self[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()

    def fuse(self) -> None:
        """Leave GELU to the convolution, too, if it can."""
        convolution = self[0]
        if isinstance(convolution, Convolution) and convolution.fused:
            convolution.gelu, self[2] = True, nn.Identity()


class ResidualConvBlock(nn.Module):
    """Two convolutions; with `is_res` the input is added, at half the power each."""

    def __init__(self, before: int, after: int, is_res: bool = False) -> None:
        super().__init__()
        self.is_res = is_res
        self.conv1 = Activated(before, after)
        self.conv2 = Activated(after, after)
        if is_res and before != after:
            self.shortcut: nn.Module = Convolution(before, after, 1)
        else:
            self.shortcut = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv2(self.conv1(x))
        return (self.shortcut(x) + h) / _HALF_POWER if self.is_res else h


class UnetDown(nn.Module):
    """Two blocks, then half the resolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            ResidualConvBlock(before, after), ResidualConvBlock(after, after), nn.MaxPool2d(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class UnetUp(nn.Module):
    """Twice the resolution, then two blocks, of the input beside what came down."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.joined = Joined()
        self.model = nn.Sequential(
            nn.ConvTranspose2d(before, after, 2, 2),
            ResidualConvBlock(after, after),
            ResidualConvBlock(after, after),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y: Tensor = self.model(self.joined(x, skip))
        return y


class EmbedFC(nn.Module):
    """Vectors [B, `before`] as scales or shifts of channels, [B, `after`, 1, 1]."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.before = before
        self.model = nn.Sequential(nn.Linear(before, after), nn.GELU(), nn.Linear(after, after))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x.reshape(-1, self.before))
        return y[:, :, None, None]


class ContextUnet(nn.Module):
    """Predicts the noise in `x`."""

    def __init__(self, config: ContextUNetConfig) -> None:
        super().__init__()
        f, smallest = config.features, config.size // 4
        # The course pools 4 x 4, which makes one pixel of sizes 16 to 28; of others all are pooled.
        pool = 4 if 4 <= smallest < 8 else smallest
        self.config = config
        self.init_conv = ResidualConvBlock(config.channels, f, is_res=True)
        self.down1 = UnetDown(f, f)
        self.down2 = UnetDown(f, 2 * f)
        self.to_vec = nn.Sequential(nn.AvgPool2d(pool), nn.GELU())
        self.timeembed1: nn.Module = EmbedFC(1, 2 * f)
        self.timeembed2: nn.Module = EmbedFC(1, f)
        if config.context:
            self.contextembed1: nn.Module = EmbedFC(config.context, 2 * f)
            self.contextembed2: nn.Module = EmbedFC(config.context, f)
        self.up0 = nn.Sequential(
            nn.ConvTranspose2d(2 * f, 2 * f, smallest, smallest),
            Normalisation(_GROUPS, 2 * f, "relu"),
        )
        self.up1 = UnetUp(4 * f, f)
        self.up2 = UnetUp(2 * f, f)
        self.joined = Joined()
        self.out = nn.Sequential(
            Convolution(2 * f, f, 3, padding=1),
            Normalisation(_GROUPS, f, "relu"),
            nn.Identity(),  # where the course has its ReLU
            Convolution(f, config.channels, 3, padding=1),
        )

    def forward(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """Noise [B, C, S, S] in `x` [B, C, S, S] at times `t` [B] in [0, 1], `context` [B, K]."""
        x = self.init_conv(x)
        down1 = self.down1(x)
        down2 = self.down2(down1)
        deep = self.up0(self.to_vec(down2))
        if self.config.context:
            deep = self.contextembed1(context) * deep
        middle = self.up1(deep + self.timeembed1(t).to(x.dtype), down2)
        if self.config.context:
            middle = self.contextembed2(context) * middle
        fine = self.up2(middle + self.timeembed2(t).to(x.dtype), down1)
        noise: Tensor = self.out(self.joined(fine, x))
        return noise

    @property
    def dtype(self) -> torch.dtype:
        """What the network computes in."""
        return self.out.get_parameter("0.weight").dtype

    @property
    def time_dtype(self) -> torch.dtype:
        """What the times are embedded in."""
        return next(self.timeembed1.parameters()).dtype

    def draw_only(
        self, device: torch.device, dtype: torch.dtype, kernels: Kernels | None = None
    ) -> None:
        """Put the network where it draws, and fold each normalisation into its convolution.

        The times' embeddings stay float32: bfloat16 cannot tell 500 times apart.
        """
        self.eval().requires_grad_(False)
        activated = [part for part in self.modules() if isinstance(part, Activated)]
        for part in activated:
            part.fold()
        for name, child in self.named_children():
            child.to(device, torch.float32 if name.startswith("timeembed") else dtype)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stub
        if device.type == "cpu":
            pack(self)
            self.timeembed1 = Remembered(self.timeembed1, MOST_LEVELS)
            self.timeembed2 = Remembered(self.timeembed2, MOST_LEVELS)
            if self.config.context:
                self.contextembed1 = Remembered(self.contextembed1, 1)
                self.contextembed2 = Remembered(self.contextembed2, 1)
        if kernels is not None:
            fuse(self, kernels)
            for part in activated:
                part.fuse()
