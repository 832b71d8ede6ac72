"""What the model of a run will be: its network, vocabulary and defaults, before it is trained."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from core.diffusion.context_unet import ContextUNetConfig
from core.diffusion.model import Trainable, build, describe
from core.diffusion.schedules import LinearBetas
from core.diffusion.unet import UNetConfig
from core.training.examples import Examples
from core.training.options import Options
from core.weights.spec import Betas, ModelSpec, SamplingDefaults

_SIGMA_MIN, _SIGMA_MAX, _SIGMA_DATA = 0.01, 40.0, 0.5
_CHROMA = 0.35
"""Of dungeon sprites, hues vary by 0.20 and 0.30 where brightness varies by 0.76."""
_STEPS = 12
_GUIDED, _UNGUIDED, _BY_WORDS = 2.5, 1.0, 7.0
"""Words want more steps than classes do; guided by more, they bring sprites of other classes."""
_NOT_YET = "not yet"


def draft(options: Options, examples: Examples, channels: int) -> ModelSpec:
    """The model of a run; how long it was trained and what it costs are told later."""
    context = examples.context_length
    known = {
        "name": options.name, "title": options.title or options.name, "size": options.size,
        "channels": channels, "classes": examples.classes, "words": examples.vocabulary,
        "licence": options.licence, "data": options.source or "unknown", "flops": 0,
        "trained": _NOT_YET, "sigma_data": _SIGMA_DATA, "network": options.network,
    }  # fmt: skip
    if options.network == "context-unet":
        betas = LinearBetas(options.times)
        return ModelSpec(
            **known, sigma_min=betas.sigma[1], sigma_max=betas.sigma[-1],
            betas=Betas(timesteps=betas.timesteps, start=betas.start, end=betas.end),
            unet=describe(ContextUNetConfig(channels, context=context, size=options.size)),
            defaults=SamplingDefaults(
                sampler="ddim", steps=min(25, betas.timesteps), guidance=_UNGUIDED
            ),
        )  # fmt: skip
    return ModelSpec(
        **known, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX, chroma=_CHROMA,
        unet=describe(UNetConfig(channels, context)),
        defaults=SamplingDefaults(
            sampler="dpmpp_2m_sde", steps=_STEPS, guidance=_GUIDED if context else _UNGUIDED,
            text_guidance=_BY_WORDS if examples.classes and examples.vocabulary else None,
        ),
    )  # fmt: skip


def make(spec: ModelSpec, seed: int) -> Trainable:
    """The network with fresh weights, the same for the same seed."""
    torch.manual_seed(seed)
    return build(spec)


def flops(denoiser: Trainable, spec: ModelSpec) -> int:
    """Floating point operations of one evaluation of one sprite, two for a multiply-add."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        x = torch.zeros(1, spec.channels, spec.size, spec.size)
        denoiser(x, torch.ones(1), torch.zeros(1, spec.context_length))
    return int(counter.get_total_flops())
