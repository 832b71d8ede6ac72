"""What training is judged by, beside the eye."""

import numpy as np
import torch

from core.diffusion.unet import Preconditioned
from core.sprites.alpha import from_rgba
from core.training.batches import Batch, context
from core.training.dataset import Examples
from core.training.loss import denoising_loss

_BATCH = 64


@torch.no_grad()
def held_out_loss(denoiser: Preconditioned, examples: Examples) -> float | None:
    """The loss on sprites that were not learnt from, always with the same noise; None of none."""
    count = len(examples.images)
    if not count:
        return None
    total = 0.0
    for start in range(0, count, _BATCH):
        rows = range(start, min(start + _BATCH, count))
        contexts = [context(examples, row, examples.words[row], named=True) for row in rows]
        batch = Batch(
            torch.from_numpy(from_rgba(examples.images[rows.start : rows.stop])),
            torch.from_numpy(np.stack(contexts)),
        )
        generator = torch.Generator().manual_seed(start)
        total += len(rows) * float(denoising_loss(denoiser, batch, generator))
    return total / count
