"""The average of the weights over training, which draws better than the last of them."""

import copy

import torch
from torch import Tensor

from core.diffusion.model import Trainable

_SHARE = 0.12


class Ema:
    """An average whose memory grows with training: about the last eighth of it counts.

    Source: the power-function averages of Karras et al. 2024 (arXiv:2312.02696), section 3.1.
    """

    def __init__(self, denoiser: Trainable) -> None:
        self.denoiser = copy.deepcopy(denoiser).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, denoiser: Trainable, step: float) -> None:
        """Take in the weights after `step` (from 1), and the statistics of normalisations."""
        ours, theirs = _floats(self.denoiser), _floats(denoiser)
        torch._foreach_lerp_(ours, theirs, 1 / (1 + _SHARE * step))


def _floats(denoiser: Trainable) -> list[Tensor]:
    buffers = [buffer for buffer in denoiser.buffers() if buffer.is_floating_point()]
    return [*denoiser.parameters(), *buffers]
