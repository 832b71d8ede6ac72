"""One tile: a fixed number of sprites sampled together, whatever they show."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.diffusion.denoiser import Denoiser
from core.diffusion.device import padded_size, tile_size
from core.diffusion.guidance import Guided
from core.diffusion.inpainting import Inpainted, tensors, walked
from core.diffusion.model import Model
from core.diffusion.noise import SampleNoise
from core.diffusion.samplers import SAMPLERS, Sampler
from core.diffusion.schedules import levels
from core.errors import UsageError
from core.request.spec import Sampling
from core.sprites.alpha import Alpha, to_rgba
from core.sprites.given import Given

Watch = Callable[[Denoiser], Denoiser]


def render_tile(
    model: Model,
    contexts: NDArray[np.float32],
    negatives: NDArray[np.float32] | None,
    keys: Sequence[bytes],
    sampling: Sampling,
    on_step: Callable[[int], None],
    alpha: Alpha = "binary",
    given: Given | None = None,
    watch: Watch | None = None,
) -> NDArray[np.uint8]:
    """Sprites [B, H, W, 4] for `contexts` [B, K] and their noise `keys`, B at most the tile size.

    `sampling` must be resolved. The work is padded, so that a sprite's arithmetic is the same in
    full and in short tiles. `given` are pictures to start from, one for each;
    `watch` wraps what the sampler walks. Raises UsageError, and whatever `on_step` raises.
    """
    spec, count, most = model.spec, len(keys), tile_size(model.device)
    if not 0 < count <= most:
        raise UsageError(f"keys: a tile holds 1 to {most} sprites, not {count}.")
    size = padded_size(model.device, count)
    sampler, guidance = _resolved(sampling)
    padded = [*keys, *[keys[0]] * (size - count)]
    philox = model.kernels.philox if model.kernels else None
    noise = SampleNoise.of(spec, padded, model.device, philox)
    negative = None if negatives is None else _padded(negatives, size, model.device)
    sigmas: Sequence[float] = levels(spec, sampling)
    scale: float | Tensor = guidance
    if negatives is not None and sampling.text_guidance is not None:
        by_words = _by_words(contexts, negatives, len(spec.classes))
        scales = np.where(by_words, sampling.text_guidance, guidance).astype(np.float32)
        scale = _padded(scales[:, None], size, model.device).view(-1, 1, 1, 1)
    denoise: Denoiser = Guided(model.denoiser, scale, negative, sampling.interval)
    x = noise.initial()
    if given is None:
        x = x * sigmas[0]
    else:
        image, keep = tensors(given, spec.channels, size, model.device)
        sigmas = walked(sigmas, given.share)
        denoise, x = Inpainted(denoise, image, keep), image + x * sigmas[0]
    with torch.inference_mode():
        images = sampler(
            watch(denoise) if watch else denoise,
            x,
            sigmas,
            _padded(contexts, size, model.device),
            noise=noise.step,
            on_step=on_step,
        )
    return to_rgba(images[:count].cpu().numpy(), alpha)


def _resolved(sampling: Sampling) -> tuple[Sampler, float]:
    if sampling.sampler is None or sampling.guidance is None:
        raise UsageError("sampling has gaps.", remedy="Plan the request first.")
    sampler = SAMPLERS[sampling.sampler]
    if sampling.eta is not None:
        sampler = partial(sampler, eta=sampling.eta)
    return sampler, sampling.guidance


def _by_words(
    contexts: NDArray[np.float32], negatives: NDArray[np.float32], classes: int
) -> NDArray[np.bool_]:
    """Which [B] are drawn away from their classes alone, by the words beside those."""
    words, unworded = contexts[:, classes:], contexts.copy()
    unworded[:, classes:] = 0
    away = np.all(negatives == unworded, axis=1)
    return np.asarray(away & words.any(axis=1) & unworded.any(axis=1))


def _padded(vectors: NDArray[np.float32], size: int, device: torch.device) -> Tensor:
    rows = np.zeros((size, vectors.shape[1]), dtype=np.float32)
    rows[: len(vectors)] = vectors
    return torch.from_numpy(rows).to(device)
