"""Watching a sampler at its work: what it has before each step, or what it guesses there."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.diffusion.denoiser import Denoiser
from core.sprites.alpha import Alpha, to_rgba

Show = Literal["noisy", "guess"]


class Film:
    """Keeps a shot [B, H, W, 4] of each noise level; a reel of shots for each tile.

    Noisy images are scaled by 1/sqrt(1 + sigma^2), all channels alike, and cut off at black and
    white: colours are never stretched.
    """

    def __init__(self, show: Show, alpha: Alpha) -> None:
        self._show = show
        self._alpha: Alpha = alpha
        self._level = math.inf
        self.reels: list[list[NDArray[np.uint8]]] = []

    def watching(self, denoise: Denoiser) -> Denoiser:
        """A denoiser that is filmed, of one tile. Its levels must not rise."""
        self.reels.append([])
        self._level = math.inf

        def filmed(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
            x0 = denoise(x, sigma, context)
            level = float(sigma[0])
            self._take(level, x0 if self._show == "guess" else x / math.sqrt(1 + level**2))
            return x0

        return filmed

    def _take(self, level: float, drawn: Tensor) -> None:
        shot = to_rgba(drawn.cpu().numpy(), self._alpha)
        if level == self._level:  # Heun's method comes back to a level with a better image
            self.reels[-1][-1] = shot
        else:
            self.reels[-1].append(shot)
        self._level = level
