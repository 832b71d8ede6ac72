"""Kernels for a GPU, compiled for one network: Triton's, replayed as CUDA graphs."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.diffusion.device import tile_size
from core.errors import ModelError
from core.weights.spec import ModelSpec


def compile_network(denoiser: nn.Module, spec: ModelSpec, device: torch.device, kept: Path) -> None:
    """Draw with kernels of the network's own from now on, made now or found in the folder `kept`.

    They are made for any number of sprites: a guided tile has twice as many. Raises ModelError.
    """
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(kept)
    network, given = denoiser.get_submodule("unet"), _given(denoiser, spec, device)
    for each in given:
        torch._dynamo.mark_dynamic(each, 0)
    try:
        network.compile(
            options={
                "triton.cudagraphs": True,
                "deterministic": True,  # chosen by timing, the order of sums would be the moment's
                "compile_threads": 1,  # a worker has no processes to spare, and none outliving it
            }
        )
        with torch.inference_mode():
            network(*given)
    except RuntimeError as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"no kernels could be made for {spec.name}: {first}",
            remedy="Set `compile` to no, or see whether the compiler works.",
        ) from error


def _given(denoiser: nn.Module, spec: ModelSpec, device: torch.device) -> tuple[Tensor, ...]:
    """What the network inside of a denoiser is given for a tile."""
    found: list[Tensor] = []

    def keep(_: nn.Module, given: tuple[Any, ...]) -> None:
        found.extend(given)

    watching = denoiser.get_submodule("unet").register_forward_pre_hook(keep)
    sprites = tile_size(device)
    x = torch.zeros(sprites, spec.channels, spec.size, spec.size, device=device)
    with torch.inference_mode():
        denoiser(x, torch.ones(sprites), torch.zeros(sprites, spec.context_length, device=device))
    watching.remove()
    return tuple(found)
