"""The course's own weights: a `.pth` of `ContextUnet`'s state dict."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from core.diffusion.context_unet import ContextUnet, ContextUNetConfig
from core.errors import ModelError

SHORTCUT = "init_conv.shortcut."
"""The course draws this convolution anew at every call, so its files have none."""

_SEED = 0
_MOST_SHOWN = 5


def load_course(path: Path) -> ContextUnet:
    """The network of a course's state dict, its sizes read from the tensors' shapes.

    The first block's shortcut, which the course draws at random at each call, is drawn once from a
    fixed seed, unless the file has it. Raises ModelError, which lists the keys that are missing,
    unexpected or of another shape.
    """
    state = _read(path)
    network = ContextUnet(_config(state, path.name))
    expected = network.state_dict()
    if not any(name.startswith(SHORTCUT) for name in state):
        state |= _shortcut(network.config)
    _check(state, expected, path.name)
    network.load_state_dict(state)
    return network


def _read(path: Path) -> dict[str, Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error.strerror}.") from error
    except Exception as error:  # a foreign file can make the reader raise anything
        raise ModelError(
            f"{path.name} is no file of weights ({type(error).__name__}).",
            remedy="Give what torch.save(network.state_dict(), ...) wrote.",
        ) from error
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ModelError(
            f"{path.name} holds no state dict.",
            remedy="Give what torch.save(network.state_dict(), ...) wrote.",
        )
    return dict(found)


def _config(state: Mapping[str, Tensor], name: str) -> ContextUNetConfig:
    """The sizes, of the three tensors that show them."""
    try:
        features, channels, _, _ = state["init_conv.conv1.0.weight"].shape
        _, _, smallest, _ = state["up0.0.weight"].shape
        embedding = state.get("contextembed1.model.0.weight")
        context = 0 if embedding is None else embedding.shape[1]
        return ContextUNetConfig(channels, features, context, 4 * smallest)
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{name} is no ContextUnet: init_conv.conv1.0.weight and up0.0.weight "
            f"must be there, with 4 dimensions.",
        ) from error


def _shortcut(config: ContextUNetConfig) -> dict[str, Tensor]:
    """Drawn as torch draws a 1x1 convolution: uniform in +-1/sqrt(channels), weight and bias."""
    generator, bound = torch.Generator().manual_seed(_SEED), config.channels**-0.5
    shapes = {"weight": (config.features, config.channels, 1, 1), "bias": (config.features,)}
    return {
        SHORTCUT + name: torch.empty(shape).uniform_(-bound, bound, generator=generator)
        for name, shape in shapes.items()
    }


def _check(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str) -> None:
    faults = {
        "missing": [key for key in expected if key not in state],
        "unexpected": [key for key in state if key not in expected],
        "of another shape": [
            f"{key} {tuple(state[key].shape)}, not {tuple(expected[key].shape)}"
            for key in expected
            if key in state and state[key].shape != expected[key].shape
        ],
    }
    said = [f"{kind}: {_some(keys)}" for kind, keys in faults.items() if keys]
    if said:
        raise ModelError(f"{name} differs from ContextUnet; {'; '.join(said)}.")


def _some(keys: list[str]) -> str:
    more = len(keys) - _MOST_SHOWN
    return ", ".join(keys[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
