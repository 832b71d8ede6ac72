"""The course's network, and the loops of others around it, which run in a process of their own."""

from functools import cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from core.diffusion.context_unet import ContextUnet, ContextUNetConfig
from core.diffusion.device import compute_dtype, tile_size
from core.diffusion.schedules import LinearBetas

CONFIG = ContextUNetConfig()
BETAS = LinearBetas()
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
DTYPE = compute_dtype(DEVICE)
BATCH = tile_size(DEVICE)
CONTEXTS = np.eye(5, dtype=np.float32)[np.arange(BATCH) % 5]
SHAPE = (BATCH, 3, 16, 16)
COURSE_STEPS = 25  # of its 500, all alike


@cache
def course_network(dtype: torch.dtype) -> ContextUnet:
    """As the course has it, with random weights."""
    return ContextUnet(CONFIG).eval().requires_grad_(False).to(DEVICE, dtype)


@torch.inference_mode()
def course_ddim(dtype: torch.dtype) -> None:
    """DDIM as the course writes it: a tensor of the time and the coefficients at each step."""
    network = course_network(dtype)
    alpha_bar = torch.tensor(BETAS.alpha_bar, dtype=dtype, device=DEVICE)
    x, context = begun(dtype)
    for now, then in pairwise(BETAS.times(25)):
        t = torch.tensor([now / BETAS.timesteps], dtype=dtype, device=DEVICE)
        noise = network(x, t[:, None, None, None], context)
        a, b = alpha_bar[now], alpha_bar[then]
        x = b.sqrt() / a.sqrt() * (x - (1 - a).sqrt() * noise) + (1 - b).sqrt() * noise
    wait()


@torch.inference_mode()
def course_whole() -> None:
    """The first of the course's 500 steps with its extra noise."""
    network = course_network(torch.float32)
    betas = torch.tensor([1 - b / a for a, b in pairwise(BETAS.alpha_bar)], device=DEVICE)
    alpha_bar = torch.tensor(BETAS.alpha_bar, device=DEVICE)
    x, context = begun(torch.float32)
    for now in range(BETAS.timesteps, BETAS.timesteps - COURSE_STEPS, -1):
        t = torch.tensor([now / BETAS.timesteps], device=DEVICE)[:, None, None, None]
        noise, beta = network(x, t, context), betas[now - 1]
        mean = (x - noise * (beta / (1 - alpha_bar[now]).sqrt())) / (1 - beta).sqrt()
        x = mean + beta.sqrt() * torch.randn_like(x)
    wait()


@torch.inference_mode()
def diffusers_ddim(dtype: torch.dtype) -> None:
    """The loop of diffusers' DDIM pipeline, around the same network."""
    from diffusers import DDIMScheduler

    betas = [1 - b / a for a, b in pairwise(BETAS.alpha_bar)]
    scheduler = DDIMScheduler(
        num_train_timesteps=BETAS.timesteps, trained_betas=betas, clip_sample=False,
        timestep_spacing="trailing",
    )  # fmt: skip
    scheduler.set_timesteps(25)
    network = course_network(dtype)
    x, context = begun(dtype)
    for t in scheduler.timesteps:
        share = ((t + 1)[None] / BETAS.timesteps).to(DEVICE, dtype)
        noise = network(x, share, context)
        x = scheduler.step(noise, t, x).prev_sample
    wait()


def begun(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Noise, and the contexts."""
    return fresh_noise().to(dtype), class_contexts().to(dtype)


def fresh_noise() -> Tensor:
    return torch.randn(SHAPE).to(DEVICE)


def class_contexts() -> Tensor:
    return torch.from_numpy(CONTEXTS).to(DEVICE)


def wait() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
