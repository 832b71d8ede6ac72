"""A model that is small enough to sample in milliseconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import nn

from core.diffusion.context_unet import ContextUnet, ContextUNetConfig
from core.diffusion.model import Model, describe, load_model, save_model
from core.diffusion.schedules import LinearBetas
from core.diffusion.unet import Preconditioned, UNetConfig
from core.weights.spec import ModelSpec, SamplingDefaults

CLASSES = ("potion", "sword")
WORDS = ("blue", "red")
Network = TypeVar("Network", bound=nn.Module)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_spec() -> ModelSpec:
    config = UNetConfig(channels=4, context=4, widths=(16, 32, 32), embedding=32, heads=2)
    return ModelSpec(
        name="small", title="Small", size=16, channels=4, classes=CLASSES, words=WORDS,
        sigma_min=0.02, sigma_max=20.0, sigma_data=0.5, unet=describe(config), flops=1,
        licence="CC0-1.0", data="none", trained="not at all",
        defaults=SamplingDefaults(sampler="dpmpp_2m", steps=4, guidance=2.0),
    )  # fmt: skip


def course_spec(**changes: object) -> ModelSpec:
    """A small model with the course's network and discrete times."""
    betas = LinearBetas(20)
    values = small_spec().model_dump() | {
        "network": "context-unet", "betas": {"timesteps": 20, "start": 1e-4, "end": 0.02},
        "sigma_min": betas.sigma[1], "sigma_max": betas.sigma[-1], "channels": 3,
        "defaults": {"sampler": "ddim", "steps": 4, "guidance": 1.0},
    } | changes  # fmt: skip
    length = len(values["classes"]) + len(values["words"])
    values["unet"] = describe(ContextUNetConfig(values["channels"], 8, length, values["size"]))
    return ModelSpec.model_validate(values)


def learnt(network: ContextUnet) -> ContextUnet:
    """Statistics of normalisation that are not those of a fresh network."""
    generator = torch.Generator().manual_seed(5)
    for name, buffer in network.named_buffers():
        if name.endswith("mean"):
            buffer.normal_(0, 0.3, generator=generator)
        elif name.endswith("var"):
            buffer.uniform_(0.5, 2, generator=generator)
    return network.eval()


def awake(denoiser: Network) -> Network:
    """Weights that are nowhere zero, as if it had been trained."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in denoiser.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return denoiser


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = small_spec()
    config = UNetConfig(**{**spec.unet, "widths": tuple(spec.unet["widths"])})
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(path, spec, awake(Preconditioned(config, spec.sigma_data)))
    return path


@pytest.fixture(scope="session")
def small_model(small_file: Path) -> Model:
    return load_model(small_file)
