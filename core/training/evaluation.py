"""What training is judged by, beside the eye."""

import numpy as np
import torch

from core.diffusion.model import Trainable
from core.training.batches import Batch, context
from core.training.examples import Examples
from core.training.loss import loss_of
from core.training.pixels import signal

_BATCH = 64
_CPU = torch.device("cpu")


@torch.no_grad()
def held_out_loss(
    denoiser: Trainable, examples: Examples, channels: int = 4, device: torch.device = _CPU
) -> float | None:
    """The loss on sprites that were not learnt from, always with the same noise; None of none.

    `denoiser` must be in its evaluation mode.
    """
    count = len(examples.images)
    if not count:
        return None
    loss, total = loss_of(denoiser, device), 0.0
    for start in range(0, count, _BATCH):
        rows = range(start, min(start + _BATCH, count))
        contexts = [context(examples, row, examples.words[row], named=True) for row in rows]
        batch = Batch(
            signal(torch.from_numpy(examples.images[rows.start : rows.stop]).to(device), channels),
            torch.from_numpy(np.stack(contexts)).to(device),
        )
        generator = torch.Generator(device).manual_seed(start)
        total += len(rows) * float(loss(batch, generator))
    return total / count
