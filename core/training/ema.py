"""The average of the weights over training, which draws better than the last of them."""

import copy

import torch
from torch import Tensor

from core.diffusion.unet import Preconditioned

_SHARE = 0.12


class Ema:
    """An average whose memory grows with training: about the last eighth of it counts.

    Source: the power-function averages of Karras et al. 2024 (arXiv:2312.02696), section 3.1.
    """

    def __init__(self, denoiser: Preconditioned) -> None:
        self.denoiser = copy.deepcopy(denoiser).requires_grad_(False)

    @torch.no_grad()
    def update(self, denoiser: Preconditioned, step: int) -> None:
        """Take in the weights after `step` (from 1)."""
        ours: list[Tensor] = list(self.denoiser.parameters())
        theirs: list[Tensor] = list(denoiser.parameters())
        torch._foreach_lerp_(ours, theirs, 1 / (1 + _SHARE * step))
