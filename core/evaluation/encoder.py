"""The encoder: a small network that tells the class of a sprite, and features to compare it by."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from core.errors import ModelError
from core.sprites.alpha import from_rgba
from core.training.fitting import fit

SIZE = 32
FEATURES = 64
_BATCH = 64
_WIDTHS = (48, 96, 160)
_KEY = "spritemill-encoder"
_BUNDLED = Path(__file__).parents[1] / "weights" / "encoder-32.safetensors"


class Network(nn.Module):
    """A residual network: sprites [B, 4, 32, 32] -> features [B, F] and class logits [B, K].

    Each feature has a mean of 0 and a deviation of 1 over what it has learnt from.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        stem, *wider = _WIDTHS
        self.body = nn.Sequential(
            nn.PixelUnshuffle(2),
            _Layer(16, stem, stride=1),
            _Again(stem),
            *(_halved(inner, outer) for inner, outer in pairwise(_WIDTHS)),
        )
        self.feature = nn.Sequential(
            nn.Linear(wider[-1], FEATURES, bias=False), nn.BatchNorm1d(FEATURES, affine=False)
        )
        self.classifier = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.feature(self.body(x).mean(dim=(2, 3)))
        return features, self.classifier(functional.silu(features))


class _Layer(nn.Sequential):
    """Convolution, normalisation, nonlinearity."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        convolution = nn.Conv2d(inner, outer, 3, stride, padding=1, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outer), nn.SiLU())


class _Again(nn.Module):
    """Looks again, beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = _Layer(width, width, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = self.layer(x)
        return x + seen


def _halved(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(_Layer(inner, outer, stride=2), _Again(outer))


@dataclass(frozen=True, slots=True)
class Encoded:
    """Features [N, F] and the chance of each class [N, K], both float32."""

    features: NDArray[np.float32]
    probabilities: NDArray[np.float32]


class Encoder:
    """Looks at sprites, always in batches of one size: a sprite's company does not count."""

    def __init__(
        self, network: Network, classes: tuple[str, ...], device: torch.device | str = "cpu"
    ) -> None:
        self.classes = classes
        self._device = torch.device(device)
        self._network = network.eval().requires_grad_(False).to(self._device)

    def __call__(self, images: NDArray[np.uint8]) -> Encoded:
        """What is seen in sprites [N, S, S, 4], of another size than 32 after `fit`."""
        features = np.zeros((len(images), FEATURES), dtype=np.float32)
        chances = np.zeros((len(images), len(self.classes)), dtype=np.float32)
        with torch.inference_mode():
            for rows, batch in _batches(images):
                seen, logits = self._network(torch.from_numpy(batch).to(self._device))
                count = rows.stop - rows.start
                features[rows] = seen[:count].cpu().numpy()
                chances[rows] = logits[:count].softmax(dim=1).cpu().numpy()
        return Encoded(features, chances)


def _batches(images: NDArray[np.uint8]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Premultiplied batches [64, 4, 32, 32] in [-1, 1], the last filled up, and their rows."""
    for start in range(0, len(images), _BATCH):
        rows = slice(start, min(start + _BATCH, len(images)))
        batch = np.zeros((_BATCH, SIZE, SIZE, 4), dtype=np.uint8)
        batch[: rows.stop - rows.start] = [fit(image, SIZE) for image in images[rows]]
        yield rows, from_rgba(batch)


def bundled_encoder(device: torch.device | str = "cpu") -> Encoder:
    """The encoder that comes with Spritemill: dungeon sprites of 32 x 32 pixels."""
    return load_encoder(_BUNDLED, device)


def load_encoder(path: Path, device: torch.device | str = "cpu") -> Encoder:
    """Raises ModelError."""
    try:
        with safe_open(path, framework="pt") as file:
            classes = tuple(json.loads((file.metadata() or {})[_KEY])["classes"])
            names = file.keys()  # the file itself cannot be iterated over
            tensors = {name: file.get_tensor(name).float() for name in names}
        network = Network(len(classes))
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"{path} is no encoder of this version: {error}.",
            remedy="Install Spritemill again, or train one anew.",
        ) from error
    return Encoder(network, classes, device)


def save_encoder(path: Path, network: Network, classes: tuple[str, ...]) -> None:
    """Write an encoder in float16, without what only training needs."""
    tensors = {
        name: value.half().contiguous()
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    partial = path.with_name(path.name + ".part")
    save_file(tensors, partial, metadata={_KEY: json.dumps({"classes": classes})})
    partial.chmod(0o644)  # safetensors lets nobody else read what it writes
    partial.replace(path)
