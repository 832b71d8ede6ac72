"""Sheets of samples, none of them picked by hand."""

import numpy as np
from PIL import Image

from core.diffusion.device import tile_size
from core.diffusion.model import Model
from core.diffusion.tile import render_tile
from core.request.plan import noise_key
from core.request.sampling import resolve
from core.request.spec import Sampling
from core.sprites.sheet import draw as draw_sheet

_MOST_ROWS = 32
_ANYTHING = "anything"


def draw(model: Model, note: str, count: int) -> Image.Image:
    """The first `count` sprites of each class (32 at most), by the defaults and seed 0."""
    spec, tile = model.spec, tile_size(model.device)
    names = spec.classes[:_MOST_ROWS] or (_ANYTHING,)
    contexts = np.zeros((len(names) * count, spec.context_length), dtype=np.float32)
    if spec.classes:
        contexts[np.arange(len(contexts)), np.arange(len(contexts)) // count] = 1
    keys = [noise_key(0, name, index) for name in names for index in range(count)]
    sampling = resolve(Sampling(), spec)
    sprites = np.concatenate(
        [
            render_tile(
                model, contexts[start : start + tile], None, keys[start : start + tile],
                sampling, on_step=lambda _: None,
            )
            for start in range(0, len(keys), tile)
        ]
    )  # fmt: skip
    rows = [(name, list(sprites[i * count : (i + 1) * count])) for i, name in enumerate(names)]
    return draw_sheet(spec.title, note, rows)
