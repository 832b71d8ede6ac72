"""The product's network: a small U-Net on folded pixels, and the preconditioning around it.

Pixels are folded 2x2 into channels, so that the finest convolutions run at half the resolution:
most of a small network's cost is there. The sum of a noise-level and a context embedding scales
and shifts every block. The context's has a layer of its own, so that words may mean together what
none means alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.diffusion.kernels.cpu import Kernels
from core.diffusion.layers import (
    MOST_LEVELS,
    Convolution,
    Folded,
    Joined,
    Normalisation,
    Remembered,
    fuse,
    pack,
)

_FREQUENCIES = 64


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """Sizes of the network; `widths` are the channels at 1/2, 1/4 and 1/8 of the resolution.

    `group` channels are normalised together, of which each width is a multiple. A CPU sums 16 that
    lie side by side at once: with 4 the same normalisation takes up to 15 times as long. `context`
    0 makes it unconditional.
    """

    channels: int
    context: int
    widths: tuple[int, int, int] = (96, 160, 224)
    embedding: int = 384
    heads: int = 4
    fold: int = 2
    group: int = 16

    def __post_init__(self) -> None:
        if self.group <= 0 or any(width <= 0 or width % self.group for width in self.widths):
            raise ValueError(f"widths {self.widths}: they must be multiples of {self.group}")


class Residual(nn.Module):
    """Two convolutions around which the input is added; the embedding scales and shifts."""

    def __init__(self, before: int, after: int, embedding: int, group: int) -> None:
        super().__init__()
        self.norm1 = Normalisation(before // group, before, "silu")
        self.conv1 = Convolution(before, after, 3, padding=1)
        self.film: nn.Linear | Columns = nn.Linear(embedding, 2 * after)
        self.norm2 = Normalisation(after // group, after, "silu")
        self.conv2 = Convolution(after, after, 3, padding=1)
        self.skip = Convolution(before, after, 1) if before != after else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]  # there is one

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv1(self.norm1(x))
        h = self.norm2(h, self.film(embedding))
        y: Tensor = self.conv2(h, self.skip(x))
        return y


class Columns(nn.Module):
    """Some columns of what was computed for all."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start = start
        self.stop = stop

    def forward(self, rows: Tensor) -> Tensor:
        return rows[:, self.start : self.stop]


class Attention(nn.Module):
    """Self-attention over the pixels, added to the input."""

    def __init__(self, width: int, heads: int, group: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = Normalisation(width // group, width)
        self.qkv = Convolution(width, 3 * width, 1)
        self.out = Convolution(width, width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]  # there is one

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        pixels = self.qkv(self.norm(x)).permute(0, 2, 3, 1)
        heads = pixels.reshape(b, h * w, 3, self.heads, c // self.heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # [b, heads, h * w, c / heads]
        seen = functional.scaled_dot_product_attention(q, k, v)
        y: Tensor = self.out(seen.transpose(1, 2).reshape(b, h, w, c).permute(0, 3, 1, 2), x)
        return y


class UNet(nn.Module):
    """Three levels down and up; `level` [B] is the noise level as the network sees it."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        a, b, c = config.widths
        e, g, folded = config.embedding, config.group, config.channels * config.fold**2
        self.config = config
        self.folded, self.joined, self.joined2 = Folded(config.fold), Joined(), Joined(2)
        if config.context:
            self.context = nn.Linear(config.context, e)
            self.context2 = nn.Linear(e, e)
            nn.init.normal_(self.context.weight, std=0.5)  # one-hots: loud enough at once
            self.tell: Callable[[Tensor], Tensor] = self._tell
        self.level1 = nn.Linear(2 * _FREQUENCIES, e)
        self.level2 = nn.Linear(e, e)
        self.gauge: Callable[[Tensor], Tensor] = self._gauge
        self.films: nn.Module = nn.Identity()
        self.enter = Convolution(folded, a, 3, padding=1)
        self.down1 = Residual(a, a, e, g)
        self.shrink1 = Convolution(a, b, 3, stride=2, padding=1)
        self.down2 = Residual(b, b, e, g)
        self.look2 = Attention(b, config.heads, g)
        self.shrink2 = Convolution(b, c, 3, stride=2, padding=1)
        self.down3 = Residual(c, c, e, g)
        self.look3 = Attention(c, config.heads, g)
        self.middle = Residual(c, c, e, g)
        self.up3 = Residual(2 * c, c, e, g)
        self.grow2 = Convolution(c, b, 1)
        self.up2 = Residual(2 * b, b, e, g)
        self.review2 = Attention(b, config.heads, g)
        self.refine2 = Residual(b, b, e, g)
        self.grow1 = Convolution(b, a, 1)
        self.up1 = Residual(2 * a, a, e, g)
        self.refine1 = Residual(a, a, e, g)
        self.norm = Normalisation(a // g, a, "silu")
        self.leave = Convolution(a, folded, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]  # there is one

    def forward(self, x: Tensor, level: Tensor, context: Tensor) -> Tensor:
        e = self._embed(level, context)
        h1 = self.down1(self.enter(self.folded(x)), e)
        h2 = self.look2(self.down2(self.shrink1(h1), e))
        h3 = self.look3(self.down3(self.shrink2(h2), e))
        y = self.up3(self.joined(self.middle(h3, e), h3), e)
        y = self.up2(self.joined2(self.grow2(y), h2), e)
        y = self.refine2(self.review2(y), e)
        y = self.up1(self.joined2(self.grow1(y), h1), e)
        return self.folded.back(self.leave(self.norm(self.refine1(y, e))))

    def _embed(self, level: Tensor, context: Tensor) -> Tensor:
        embedded = self.gauge(level)
        if self.config.context:
            embedded = embedded + self.tell(context)
        embedding: Tensor = self.films(functional.silu(embedded))
        return embedding

    def _gauge(self, level: Tensor) -> Tensor:
        rising = torch.linspace(0, math.log(1000), _FREQUENCIES, device=level.device)
        angles = level[:, None] * rising.exp()[None]
        waves = torch.cat([angles.cos(), angles.sin()], dim=1).to(self.level1.weight.dtype)
        gauged: Tensor = self.level2(functional.silu(self.level1(waves)))
        return gauged

    def _tell(self, context: Tensor) -> Tensor:
        told: Tensor = self.context2(functional.silu(self.context(context)))
        return told

    def remember(self) -> None:
        """Embed contexts and levels anew only when they change."""
        self.gauge = Remembered(self._gauge, MOST_LEVELS)
        if self.config.context:
            self.tell = Remembered(self._tell, 1)

    def join_films(self) -> None:
        """Take every block's share of the embedding in one product of matrices."""
        films, start = [], 0
        for block in self.modules():
            if isinstance(block, Residual) and isinstance(block.film, nn.Linear):
                films.append(block.film)
                stop = start + block.film.out_features
                block.film, start = Columns(start, stop), stop
        self.films = nn.Linear(self.config.embedding, start)
        self.films.weight = nn.Parameter(torch.cat([each.weight for each in films]), False)
        self.films.bias = nn.Parameter(torch.cat([each.bias for each in films]), False)


class Preconditioned(nn.Module):
    """A U-Net as a `Denoiser`: its input and output kept at unit variance at every noise level.

    Source: Karras et al. 2022 (arXiv:2206.00364), table 1, column "Ours". The arithmetic around
    the network stays float32 whatever the network's own dtype is. `chroma` is that of the noise
    that it learns to remove.
    """

    def __init__(self, config: UNetConfig, sigma_data: float, chroma: float = 1.0) -> None:
        super().__init__()
        self.unet = UNet(config)
        self.sigma_data = sigma_data
        self.chroma = chroma

    def draw_only(
        self, device: torch.device, dtype: torch.dtype, kernels: Kernels | None = None
    ) -> None:
        """Put it where it draws, in the memory layout that convolves fastest."""
        self.eval().requires_grad_(False)
        self.to(device, dtype)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stub
        if device.type == "cpu":
            pack(self)
            self.unet.remember()
        if kernels is not None:
            fuse(self, kernels)
            self.unet.join_films()

    def forward(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        dtype = self.unet.enter.weight.dtype
        sigma = sigma.to(x.device, non_blocking=True)
        s, d = sigma.view(-1, 1, 1, 1), self.sigma_data
        total = s**2 + d**2
        c_skip, c_out, c_in = d**2 / total, s * d / total.sqrt(), 1 / total.sqrt()
        c_noise = sigma.log() / 4
        f = self.unet((c_in * x).to(dtype), c_noise, context.to(dtype))
        # As x lies in memory: a sum of two orders takes eight times as long.
        f = f.to(torch.float32, memory_format=torch.contiguous_format)
        return torch.add(c_skip * x, c_out * f)
