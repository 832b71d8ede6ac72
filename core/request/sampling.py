"""How a model is sampled: what a request left out, filled in; and what the model cannot do."""

from core.errors import Fault
from core.request.spec import MAX_STEPS, Request, Sampling
from core.weights.spec import ModelSpec, SamplingDefaults

DISCRETE = ("ddpm", "ddim")
"""The samplers that walk a model's discrete times, if it has them."""

_STEPS = {"ddpm": 500, "ddim": 25}


def resolve(asked: Sampling, spec: ModelSpec) -> Sampling:
    """The sampling without gaps."""
    defaults = spec.defaults
    sampler = asked.sampler or defaults.sampler
    return Sampling(
        sampler=sampler,
        steps=asked.steps or _steps(sampler, asked.step_size, spec),
        step_size=asked.step_size,
        guidance=_guidance(asked, spec),
        text_guidance=_text_guidance(asked, spec),
        eta=(asked.eta or 0.0) if sampler == "ddim" else None,
        interval=asked.interval,
    )


def in_words(sampling: Sampling | SamplingDefaults) -> str:
    """A sampling without gaps, for people."""
    by_words = sampling.text_guidance
    words = "" if by_words is None else f", {by_words:g} by words"
    return f"{sampling.sampler}, {sampling.steps} steps, guidance {sampling.guidance:g}{words}"


def idle(request: Request, spec: ModelSpec) -> list[Fault]:
    """What would say nothing beside a guidance of 1. A dataset that was made so stays sound."""
    if _guidance(request.sampling, spec) != 1:
        return []
    found = [
        Fault(f"contexts[{number}].negative", "", "guidance 1 steers away from nothing",
              "Give a guidance above 1, or leave it out.")
        for number, entry in enumerate(request.contexts)
        if entry.negative is not None
    ]  # fmt: skip
    interval, by_words = request.sampling.interval, _text_guidance(request.sampling, spec)
    if interval is not None and by_words in (None, 1):
        low, high = interval
        found.append(
            Fault("sampling.interval", f"[{low:g}, {high:g}]", "guidance 1 acts at no noise level",
                  "Give a guidance above 1, or leave it out.")
        )  # fmt: skip
    return found


def _guidance(asked: Sampling, spec: ModelSpec) -> float:
    return spec.defaults.guidance if asked.guidance is None else asked.guidance


def _text_guidance(asked: Sampling, spec: ModelSpec) -> float | None:
    """The model's own goes with its own guidance: another that is asked for is for words too."""
    if asked.text_guidance is not None or asked.guidance is not None:
        return asked.text_guidance
    return spec.defaults.text_guidance


def faults(asked: Sampling, spec: ModelSpec) -> list[Fault]:
    """Steps that the model cannot take."""
    if spec.betas is None:
        if asked.step_size is None:
            return []
        problem = f"the model {spec.name} has no discrete times"
        return [Fault("sampling.step_size", str(asked.step_size), problem, "Give steps.")]
    most = spec.betas.timesteps
    discrete = (asked.sampler or spec.defaults.sampler) in DISCRETE
    given = {"steps": asked.steps if discrete else None, "step_size": asked.step_size}
    if asked.step_size and asked.steps not in (None, -(-most // asked.step_size)):
        return [Fault("sampling.steps", str(asked.steps), "step_size says it already",
                      "Give one of them.")]  # fmt: skip
    return [
        Fault(f"sampling.{name}", str(value), f"the model {spec.name} has {most} times",
              f"Give 1 to {most}.")
        for name, value in given.items()
        if value is not None and value > most
    ]  # fmt: skip


def _steps(sampler: str, step_size: int | None, spec: ModelSpec) -> int:
    most = spec.betas.timesteps if spec.betas else MAX_STEPS
    if step_size is not None:
        return -(-most // step_size)
    if sampler == spec.defaults.sampler:
        return spec.defaults.steps
    if sampler == "ddpm" and spec.betas:
        return most
    return min(most, _STEPS.get(sampler, spec.defaults.steps))
