"""A model's file: the denoiser's tensors and, in the header, everything that describes them."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from core import weights
from core.diffusion.context_unet import ContextUNetConfig
from core.diffusion.denoiser import Denoiser
from core.diffusion.device import compute_dtype
from core.diffusion.kernels import cpu, cuda
from core.diffusion.kernels.cpu import Kernels
from core.diffusion.noise_prediction import NoisePrediction
from core.diffusion.schedules import LinearBetas
from core.diffusion.unet import Preconditioned, UNetConfig
from core.errors import ModelError, StoreError
from core.weights.spec import ModelSpec

Trainable = Preconditioned | NoisePrediction


@dataclass(frozen=True, slots=True)
class Model:
    """A denoiser ready to sample with."""

    spec: ModelSpec
    denoiser: Denoiser
    sha256: str
    device: torch.device
    kernels: Kernels | None = None


def load_model(
    path: Path, device: torch.device | str = "cpu", kernels: Path | None = None
) -> Model:
    """Load weights onto a device, in the dtype that computes fastest there.

    With a folder of `kernels`, of the network's own, which are compiled if not there. Raises
    ModelError.
    """
    spec, place = weights.read_spec(path), torch.device(device)
    denoiser = build(spec)
    try:
        tensors = load_file(path)
        denoiser.load_state_dict({name: value.float() for name, value in tensors.items()})
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"{path.name} does not hold the network that its header describes: {error}.",
            remedy="Export it again.",
        ) from error
    own = cpu.load(kernels) if kernels is not None and place.type == "cpu" else None
    denoiser.draw_only(place, compute_dtype(place), own)
    if kernels is not None and place.type == "cuda":
        cuda.compile_network(denoiser, spec, place, kernels)
    return Model(spec, denoiser, weights.sha256(path), place, own)


def save_model(path: Path, spec: ModelSpec, denoiser: Trainable) -> None:
    """Write weights as float16, half the size of float32 and finer than bfloat16.

    Raises StoreError.
    """
    tensors = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in denoiser.state_dict().items()
    }
    write_tensors(path, tensors, {weights.METADATA_KEY: spec.model_dump_json()})


def write_tensors(path: Path, tensors: dict[str, Tensor], told: dict[str, str]) -> None:
    """Write a safetensors file so that a kill at any moment leaves the old one or the new one.

    Raises StoreError.
    """
    partial = path.with_name(path.name + ".part")
    try:
        save_file(tensors, partial, metadata=told)
        partial.chmod(0o644)  # safetensors lets nobody else read what it writes
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"{path} could not be written: {error}.", remedy="Is there room, and may we write?"
        ) from error


def build(spec: ModelSpec) -> Trainable:
    """The denoiser that a spec describes, with fresh weights. Raises ModelError."""
    try:
        config = _config(spec)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"unet = {spec.unet}: not a network of this version ({error}).",
            remedy="Use a model of this version of Spritemill.",
        ) from error
    size = config.size if isinstance(config, ContextUNetConfig) else spec.size
    wanted = (spec.channels, spec.context_length, spec.size)
    if (config.channels, config.context, size) != wanted:
        raise ModelError(
            f"unet = {spec.unet}: channels, context and size differ from the model's, {wanted}.",
            remedy="Export it again.",
        )
    if isinstance(config, ContextUNetConfig):
        return NoisePrediction(config, LinearBetas.of(spec))
    return Preconditioned(config, spec.sigma_data, spec.chroma)


def describe(config: UNetConfig | ContextUNetConfig) -> dict[str, object]:
    """A network's configuration as a spec holds it."""
    described: dict[str, object] = asdict(config)
    if isinstance(config, UNetConfig):
        described["widths"] = list(config.widths)
    return described


def _config(spec: ModelSpec) -> UNetConfig | ContextUNetConfig:
    if spec.network == "context-unet":
        return ContextUNetConfig(**spec.unet)
    told = {"widths": tuple(spec.unet["widths"]), "group": spec.unet["group"]}  # no tensor shows it
    return UNetConfig(**{**spec.unet, **told})
