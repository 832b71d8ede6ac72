"""What happens without DDPM's extra noise: `python examples/without-extra-noise.py OUT.png`.

The bundled model draws the same sprites from the same first noise: by DDPM, by DDPM whose fresh
noise is left out at each step, and by DDIM, whose own formula needs none.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from core import weights
from core.diffusion.device import pick_device
from core.diffusion.guidance import Guided
from core.diffusion.model import Model, load_model
from core.diffusion.noise import SampleNoise
from core.diffusion.samplers import Sampler, ddim, ddpm
from core.diffusion.schedules import karras_sigmas
from core.request.plan import noise_key
from core.sprites.alpha import to_rgba
from core.sprites.sheet import Row, draw

CLASSES = ("potion", "book", "wand", "hero", "statue", "altar", "food", "weapon")
GUIDANCE = 2.5


def main() -> None:
    options = _options()
    model = load_model(weights.bundled(), pick_device())
    drawn = partial(_row, model, options.steps, options.seed)
    rows = [
        drawn("DDPM, with the extra noise", ddpm, fresh=True),
        drawn("DDPM, the extra noise left out", ddpm, fresh=False),
        drawn("DDIM, which needs none", ddim, fresh=False),
    ]
    note = f"{options.steps} steps, the same first noise down each column"
    draw("With and without the extra noise", note, rows).save(options.out)


def _row(model: Model, steps: int, seed: int, label: str, sampler: Sampler, *, fresh: bool) -> Row:
    spec = model.spec
    keys = [noise_key(seed, name, 0) for name in CLASSES]
    own = SampleNoise.of(spec, keys, model.device)
    contexts = torch.eye(spec.context_length)[[spec.classes.index(name) for name in CLASSES]]
    sigmas = karras_sigmas(steps, spec.sigma_min, spec.sigma_max)
    noise: Callable[[int], Tensor] = (
        own.step if fresh else lambda _: torch.zeros((), device=model.device)
    )
    with torch.inference_mode():
        images = sampler(
            Guided(model.denoiser, GUIDANCE),
            own.initial() * sigmas[0],
            sigmas,
            contexts.to(model.device),
            noise=noise,
            on_step=lambda _: None,
        )
    return label, list(to_rgba(images.cpu().numpy(), "soft"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the picture to write")
    parser.add_argument("--steps", type=int, default=100, help="steps of each row")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other sprites")
    return parser.parse_args()


if __name__ == "__main__":
    main()
