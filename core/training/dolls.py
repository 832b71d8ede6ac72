"""Complete characters, composed from the aligned layers of a paper doll."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_BEHIND = "cloak"
_LAYERS = (
    (_BEHIND, 0.25), ("legs", 0.6), ("body", 0.85), ("boots", 0.5), ("gloves", 0.35),
    ("hair", 0.4), ("head", 0.5), ("hand1", 0.75), ("hand2", 0.55),
)  # fmt: skip
_CLEAR, _OPAQUE = -1, 128
_SEEN_PIXELS, _SEEN_SHARE = 8, 0.5
_COMMON_POSE = re.compile(
    "deep dwarf|deep elf|demigod|demonspawn|dwarf|elf|gargoyle|ghoul|gnome|halfling|human|kobold|"
    "lorc|minotaur|mummy|shadow|vampire|draconian|tengu wingless|spriggan"
)


@dataclass(frozen=True, slots=True)
class Layer:
    """A part of the doll, RGBA [H, W, 4], and its caption."""

    image: NDArray[np.uint8]
    caption: str


def compose(
    parts: Mapping[str, Sequence[Layer]], count: int, seed: int
) -> list[tuple[NDArray[np.uint8], str]]:
    """`count` characters with captions of the parts that are seen; the same for the same seed.

    Only bases in the common pose are dressed: the layers fit no other.
    """
    draw = random.Random(seed)  # noqa: S311 - pictures, not secrets
    bases = [layer for layer in parts.get("base", ()) if _COMMON_POSE.search(layer.caption)]
    return [_dressed(draw.choice(bases), parts, draw) for _ in range(count if bases else 0)]


def _dressed(
    base: Layer, parts: Mapping[str, Sequence[Layer]], draw: random.Random
) -> tuple[NDArray[np.uint8], str]:
    image, layers, on_top = base.image, [base], np.where(_drawn(base), 0, _CLEAR)
    for part, chance in _LAYERS:
        if draw.random() < chance and parts.get(part):
            layer = draw.choice(parts[part])
            behind = part == _BEHIND
            image = _over(layer.image, image) if behind else _over(image, layer.image)
            free = on_top == _CLEAR if behind else np.True_
            on_top[_drawn(layer) & free] = len(layers)
            layers.append(layer)
    seen = [
        layer.caption
        for number, layer in enumerate(layers)
        if layer is base or _is_seen(on_top == number, _drawn(layer))
    ]
    return image, " ".join(seen)


def _drawn(layer: Layer) -> NDArray[np.bool_]:
    return np.asarray(layer.image[..., 3] >= _OPAQUE)


def _is_seen(left: NDArray[np.bool_], drawn: NDArray[np.bool_]) -> bool:
    """Whether a part of which pixels are left on top should be told: a hidden one teaches lies."""
    return bool(left.sum() >= max(1, min(_SEEN_PIXELS, _SEEN_SHARE * drawn.sum())))


def _over(below: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.alpha_composite(Image.fromarray(below), Image.fromarray(above)))
