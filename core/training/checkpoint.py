"""A training run on disk: one file, replaced whole, that a killed run goes on from."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.diffusion.unet import Preconditioned
from core.errors import CorruptError
from core.training.ema import Ema

_KEY = "progress"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: steps made, seconds trained, and what it is trained on."""

    step: int
    seconds: float
    digest: str


def save(
    path: Path,
    denoiser: Preconditioned,
    ema: Ema,
    optimizer: torch.optim.AdamW,
    progress: Progress,
) -> None:
    """Write a checkpoint so that a kill at any moment leaves the old one or the new one."""
    tensors = {f"net.{name}": value for name, value in denoiser.state_dict().items()}
    tensors |= {f"ema.{name}": value for name, value in ema.denoiser.state_dict().items()}
    for name, parameter in denoiser.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"adam.{key}.{name}"] = value
    plain = {name: value.contiguous() for name, value in tensors.items()}
    partial = path.with_name(path.name + ".part")
    save_file(plain, partial, metadata={_KEY: json.dumps(asdict(progress))})
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def load(
    path: Path, denoiser: Preconditioned, ema: Ema, optimizer: torch.optim.AdamW, digest: str
) -> Progress:
    """Put a checkpoint into a fresh run on the data of `digest`. Raises CorruptError."""
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()[_KEY]))
            if progress.digest != digest:
                raise ValueError("it was trained on other data, or otherwise")  # noqa: TRY301  # told below
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
        denoiser.load_state_dict(_under(tensors, "net."))
        ema.denoiser.load_state_dict(_under(tensors, "ema."))
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise CorruptError(
            f"{path} is no checkpoint of this run: {error}.",
            remedy="Remove it to start anew, or give the run's own folder.",
        ) from error
    for name, parameter in denoiser.named_parameters():
        for key in ("step", "exp_avg", "exp_avg_sq"):
            value = tensors[f"adam.{key}.{name}"]
            like = parameter.stride() if value.shape == parameter.shape else value.stride()
            optimizer.state[parameter][key] = torch.empty_strided(value.shape, like).copy_(value)
    return progress


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
