"""A training run on disk: one file, replaced whole, that a killed run goes on from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.diffusion.model import Trainable, write_tensors
from core.errors import CorruptError
from core.training.ema import Ema

PROGRESS, NAMES = "progress", "names"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: steps made, seconds trained, and what it is trained on.

    `earlier` are the images that the weights had seen before it, `batch` those of a step.
    """

    step: int
    seconds: float
    digest: str
    earlier: int = 0
    batch: int = 0


@dataclass(frozen=True, slots=True)
class Saved:
    """What a checkpoint's file holds; `names` are its classes and words."""

    progress: Progress
    names: tuple[str, ...]
    tensors: Mapping[str, Tensor]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin so, without that."""
        return {
            name.removeprefix(prefix): value
            for name, value in self.tensors.items()
            if name.startswith(prefix)
        }


def save(
    path: Path, denoiser: Trainable, ema: Ema, optimizer: torch.optim.AdamW, progress: Progress,
    names: Sequence[str],
) -> None:  # fmt: skip
    """Write a checkpoint, as `write_tensors` does."""
    tensors = {f"net.{name}": value for name, value in denoiser.state_dict().items()}
    tensors |= {f"ema.{name}": value for name, value in ema.denoiser.state_dict().items()}
    for name, parameter in denoiser.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"adam.{key}.{name}"] = value
    plain = {name: value.contiguous() for name, value in tensors.items()}
    told = {PROGRESS: json.dumps(asdict(progress)), NAMES: json.dumps(names)}
    write_tensors(path, plain, told)


def read(path: Path) -> Saved:
    """What a checkpoint holds. Raises CorruptError."""
    try:
        with safe_open(path, framework="pt") as file:
            told = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
        names = tuple(json.loads(told[NAMES]))
        return Saved(Progress(**json.loads(told[PROGRESS])), names, tensors)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise refused(path, error) from error


def load(
    path: Path, denoiser: Trainable, ema: Ema, optimizer: torch.optim.AdamW, digest: str
) -> Progress:
    """Put a checkpoint into a fresh run on the data of `digest`. Raises CorruptError."""
    saved = read(path)
    if saved.progress.digest != digest:
        raise refused(path, "it was trained on other data, or otherwise")
    try:
        denoiser.load_state_dict(saved.under("net."))
        ema.denoiser.load_state_dict(saved.under("ema."))
        moments = {key: saved.under(f"adam.{key}.") for key in _MOMENTS}
        for name, parameter in denoiser.named_parameters():
            optimizer.state[parameter] = {
                key: placed(moments[key][name], parameter) for key in _MOMENTS
            }
    except (RuntimeError, KeyError) as error:
        raise refused(path, error) from error
    return saved.progress


def placed(value: Tensor, parameter: Tensor) -> Tensor:
    """A moment of a parameter where that lies, and in memory as that is."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value)


def refused(path: Path, why: object) -> CorruptError:
    return CorruptError(
        f"{path} is no checkpoint of this run: {why}.",
        remedy="Begin from it with --from, or train into another folder.",
    )
