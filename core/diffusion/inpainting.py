"""Sampling that starts from pictures, some of whose pixels are kept."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.diffusion.denoiser import Denoiser
from core.sprites.alpha import from_rgba
from core.sprites.given import Given

_LUMA = (0.299, 0.587, 0.114)


class Inpainted:
    """A denoiser that knows some pixels, and guesses nothing else for them.

    So every sampler that starts at image + sigma * noise keeps these pixels at image + level *
    noise, and ends in the image itself: what replaces them at each step in RePaint (Lugmayr et al.
    2022, arXiv:2201.09865, equation 8a) holds without replacing.
    """

    def __init__(self, denoiser: Denoiser, image: Tensor, keep: Tensor) -> None:
        """`image` [B, C, H, W] as the denoiser draws; `keep` [B, 1, H, W] of bool."""
        self._denoiser = denoiser
        self._image = image
        self._keep = keep

    def __call__(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        return torch.where(self._keep, self._image, self._denoiser(x, sigma, context))


def tensors(given: Given, channels: int, rows: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """`image` and `keep` of `Inpainted`, padded to `rows`, for a model of so many channels.

    What is drawn wholly anew says nothing of its image. A model without alpha gets it on black.
    """
    drawn = _as_drawn(given.images, channels)
    keep = given.keep[:, None]
    if given.share == 1:
        drawn = np.where(keep, drawn, np.float32(0))
    return _padded(drawn, rows).to(device), _padded(keep, rows).to(device)


def walked(sigmas: Sequence[float], share: float) -> Sequence[float]:
    """The last of the levels: so many that their share of the steps, at least one, is walked."""
    steps = len(sigmas) - 1
    kept = max(1, int(share * steps + 0.5))
    return sigmas[steps - kept :]


def _as_drawn(rgba: NDArray[np.uint8], channels: int) -> NDArray[np.float32]:
    drawn = from_rgba(rgba)
    if channels > 1:
        return drawn[:, :channels]
    weights = np.array(_LUMA, dtype=np.float32)[:, None, None]
    grey: NDArray[np.float32] = (drawn[:, :3] * weights).sum(axis=1, keepdims=True)
    return grey


def _padded(rows: NDArray[np.float32] | NDArray[np.bool_], count: int) -> Tensor:
    padding = np.zeros((count - len(rows), *rows.shape[1:]), dtype=rows.dtype)
    return torch.from_numpy(np.concatenate([rows, padding]))
