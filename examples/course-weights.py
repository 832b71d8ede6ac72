"""Make a model of the course's own weights: `python examples/course-weights.py WEIGHTS.pth OUT`.

`OUT` is a folder: it gets `model.safetensors`, which draws like any other model, by any sampler.
"""

import argparse
from pathlib import Path

from core.diffusion.course import load_course
from core.diffusion.model import describe, save_model
from core.diffusion.noise_prediction import NoisePrediction
from core.diffusion.schedules import LinearBetas
from core.errors import SpritemillError
from core.weights.spec import Betas, ModelSpec, SamplingDefaults

CLASSES = "hero,non-hero,food,spell,side-facing"


def main() -> None:
    options = _options()
    try:
        network = load_course(options.weights)
    except SpritemillError as error:
        raise SystemExit(str(error)) from error
    config = network.config
    classes = tuple(filter(None, options.classes.split(","))) or _classes(config.context)
    if len(classes) != config.context:
        raise SystemExit(f"--classes names {len(classes)}; the network has {config.context}.")
    betas = LinearBetas(options.timesteps)
    spec = ModelSpec(
        name=options.name, title=options.name, size=config.size, channels=config.channels,
        classes=classes, words=(), network="context-unet", unet=describe(config),
        betas=Betas(timesteps=betas.timesteps, start=betas.start, end=betas.end),
        sigma_min=betas.sigma[1], sigma_max=betas.sigma[-1], sigma_data=1.0, flops=options.flops,
        licence=options.licence, data="unknown", trained="elsewhere",
        defaults=SamplingDefaults(sampler="ddim", steps=25, guidance=1.0),
    )  # fmt: skip
    denoiser = NoisePrediction(config, betas)
    denoiser.unet.load_state_dict(network.state_dict())
    options.out.mkdir(parents=True, exist_ok=True)
    save_model(options.out / "model.safetensors", spec, denoiser)


def _classes(count: int) -> tuple[str, ...]:
    """The course's names, or numbers where the context is another, as that of an embedding."""
    names = tuple(CLASSES.split(","))
    return names if len(names) == count else tuple(f"c{number}" for number in range(count))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, help="what torch.save(network.state_dict()) wrote")
    parser.add_argument("out", type=Path, help="folder to write model.safetensors to")
    parser.add_argument("--name", default="course", help="the model's name")
    parser.add_argument("--classes", default="", help="names of the context's numbers")
    parser.add_argument("--timesteps", type=int, default=500, help="T of the training")
    parser.add_argument("--licence", default="unknown", help="licence of the weights")
    parser.add_argument("--flops", type=int, default=301_000_000, help="of an evaluation")
    return parser.parse_args()


if __name__ == "__main__":
    main()
