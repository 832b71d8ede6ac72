"""What sampling costs, and what each measure against it gains, as ratios of one run.

The network is the course's (16x16x3, 64 features, 5 contexts) with random weights, which cost what
learnt ones do, in batches of a tile. Every line of a table is timed in turn, round after round, and
its fastest round counts, so that a busy machine slows all of them alike.

Compiled kernels are timed where they can be made, and `diffusers` if it is installed. The loops of
others run in a process of their own, which does not keep memory as ours do.
"""

import argparse
import copy
import importlib.util
import multiprocessing
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.others import (
    BATCH,
    BETAS,
    CONFIG,
    CONTEXTS,
    COURSE_STEPS,
    DEVICE,
    DTYPE,
    SHAPE,
    class_contexts,
    course_ddim,
    course_whole,
    diffusers_ddim,
    fresh_noise,
    wait,
)
from core import weights
from core.diffusion.context_unet import ContextUnet
from core.diffusion.device import numerics, pick_device
from core.diffusion.guidance import Guided
from core.diffusion.model import Model, build, describe, load_model, save_model
from core.diffusion.noise import SampleNoise
from core.diffusion.noise_prediction import NoisePrediction
from core.diffusion.tile import render_tile
from core.errors import ModelError
from core.request.plan import noise_key
from core.request.spec import Sampling
from core.weights.spec import ModelSpec

KEYS = [noise_key(0, "benchmark", index) for index in range(BATCH)]
SLOTS = 2  # as many as a worker has by default
MATMULS = 10
MATMUL_FLOPS = MATMULS * 2 * 2048**3

Actions = dict[str, Callable[[], object]]


def main() -> None:
    options = _options()
    threads = options.threads or torch.get_num_threads()
    begin = partial(torch.set_num_threads, threads)
    begin()
    pick_device()
    torch.manual_seed(0)
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, spawn, initializer=begin) as others,
        tempfile.TemporaryDirectory() as folder,
        torch.inference_mode(),
    ):
        path = Path(folder) / "course.safetensors"
        model, network, drawing = _model(path)
        models = {"course": model, "bundled": load_model(weights.bundled(), DEVICE)}
        slots: list[Model] = []
        try:
            kernels = Path(folder) / "kernels"
            models["course, compiled"] = load_model(path, DEVICE, kernels)
            models["bundled, compiled"] = load_model(weights.bundled(), DEVICE, kernels)
            if DEVICE.type == "cpu":
                slots = [load_model(weights.bundled(), DEVICE, kernels) for _ in range(SLOTS)]
        except ModelError as error:
            print(f"compiled kernels are left out: {error}\n")
        rate = _matmul_rates(options.rounds)
        print(f"machine   {platform.machine()}, {numerics(DEVICE, DTYPE, BATCH)['device']}")
        print(f"torch     {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH}")
        print(f"dtype     {str(DTYPE).removeprefix('torch.')} by default here")
        for dtype, gflops in rate.items():
            print(f"matmul    {gflops:.0f} GFLOP/s in {dtype}, 2048 x 2048")
        print(f"network   {model.spec.flops / 1e6:.0f} MFLOP an evaluation of one sprite\n")
        _table("one evaluation", _forwards(network, models.get("course, compiled")), options.rounds)
        for dtype, ours in drawing.items():
            title = f"25 steps of DDIM, unguided, all in {str(dtype).removeprefix('torch.')}"
            found = _loops(ours, models.get("course, compiled"), others, dtype)
            _table(title, found, options.rounds)
        _table("one guided evaluation", _guided(model), options.rounds)
        _shares(model, options.rounds)
        _headline(models, slots, others, options.rounds)


def _forwards(network: ContextUnet, compiled: Model | None) -> Actions:
    x, t, c = fresh_noise(), torch.rand(BATCH).to(DEVICE), class_contexts()
    plain = x.to(memory_format=torch.channels_last)
    spread = copy.deepcopy(network)
    spread.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stub
    folded = _drawing(network, torch.float32)
    found: Actions = {
        "float32, as the course runs it": partial(network, x, t, c),
        "channels last": partial(spread, plain, t, c),
        "normalisations folded, packed": partial(folded, plain, t, c),
    }
    if DTYPE is torch.bfloat16:
        half = _drawing(network, torch.bfloat16)
        found["and bfloat16"] = partial(half, plain.bfloat16(), t, c.bfloat16())
    if compiled is not None:
        assert isinstance(compiled.denoiser, NoisePrediction)
        made = compiled.denoiser.unet
        found["and compiled kernels"] = partial(made, plain.to(DTYPE), t, c.to(DTYPE))
    return found


def _loops(
    model: Model, compiled: Model | None, others: ProcessPoolExecutor, dtype: torch.dtype
) -> Actions:
    found: Actions = {"the course's loop": lambda: others.submit(course_ddim, dtype).result()}
    if importlib.util.find_spec("diffusers") is None:
        print("diffusers is not installed: its loop is left out\n")
    else:
        found["diffusers' loop"] = lambda: others.submit(diffusers_ddim, dtype).result()
    how = Sampling(sampler="ddim", steps=25, guidance=1.0)
    found["ours"] = partial(_ours, model, how)
    if compiled is not None and compiled.kernels is not None:
        denoiser = build(model.spec)
        denoiser.draw_only(DEVICE, dtype, compiled.kernels)
        made = replace(compiled, denoiser=denoiser)
        found["ours, compiled"] = partial(_ours, made, how)
    return found


def _guided(model: Model) -> Actions:
    x, sigma, context = fresh_noise(), torch.full((BATCH,), 2.0), class_contexts()

    def apart() -> None:
        model.denoiser(x, sigma, context)
        model.denoiser(x, sigma, torch.zeros_like(context))

    return {
        "with and without context, apart": apart,
        "both in one batch": lambda: Guided(model.denoiser, 2.0)(x, sigma, context),
    }


def _shares(model: Model, rounds: int) -> None:
    """What is done at every step beside the network, as a share of the step."""
    assert isinstance(model.denoiser, NoisePrediction)
    unet, noise = model.denoiser.unet, SampleNoise(KEYS, SHAPE[1:], device=DEVICE)
    x, sigma, context = fresh_noise(), torch.full((BATCH,), 2.0), class_contexts()
    t = torch.rand(BATCH).to(DEVICE)
    took = _timed(
        {
            "step": lambda: model.denoiser(x, sigma, context),
            "times, after the first tile": lambda: (unet.timeembed1(t), unet.timeembed2(t)),
            "contexts, after the first step": lambda: (
                unet.contextembed1(context.to(unet.dtype)),
                unet.contextembed2(context.to(unet.dtype)),
            ),
            "the sampler's arithmetic": lambda: x + 0.3 * (x - x),
            "noise (ddpm, ddim with eta)": lambda: noise.step(3),
        },
        rounds,
    )
    print("beside the network, at each step")
    for name in list(took)[1:]:
        print(f"  {name:34} {100 * took[name] / took['step']:6.2f} % of an evaluation")
    print()


def _headline(
    models: dict[str, Model], slots: Sequence[Model], others: ProcessPoolExecutor, rounds: int
) -> None:
    """Against the course's 500 steps; and each against what the machine multiplies right before
    and after it, for a shared machine's rate rises and falls within seconds. `slots` draw as those
    of a worker do: each a tile of its own, on its share of the threads.
    """
    sampling = Sampling(sampler="dpmpp_2m", steps=12, guidance=1.0)
    named: dict[str, Sequence[Model]] = {name: [model] for name, model in models.items()}
    if slots:
        named["bundled, compiled, slots"] = slots
    asked = {name: (drawing, sampling) for name, drawing in named.items()}
    for name, drawing in named.items():
        guided = sampling.model_copy(
            update={"sampler": drawing[0].spec.defaults.sampler, "guidance": 2.5}
        )
        asked[f"{name}, guided"] = (drawing, guided)
    drawn: Actions = {
        name: partial(_drawn, *drawing, how) if len(drawing) == 1 else _at_once(drawing, how)
        for name, (drawing, how) in asked.items()
    }
    whole: Actions = {
        "whole": lambda: others.submit(course_whole).result(), "ours": drawn["course"],
    }  # fmt: skip
    took = _timed(whole, rounds)
    course = BATCH / (took["whole"] * BETAS.timesteps / COURSE_STEPS)
    ours = BATCH / took["ours"]
    print(f"the course's 500 steps      {course:8.2f} sprites/s ({COURSE_STEPS} of them timed)")
    print(f"12 evaluations of ours      {ours:8.2f} sprites/s   x {ours / course:.1f}\n")
    pairs = _beside_matmuls(drawn, rounds)
    rates = MATMUL_FLOPS / np.concatenate(list(pairs.values()))[:, 1]
    print(
        f"matmul, before and after each: {rates.min() / 1e9:.0f} to {rates.max() / 1e9:.0f} GFLOP/s"
    )
    for name, (drawing, how) in asked.items():
        seconds, multiplying = np.array(pairs[name]).T
        sprites = BATCH * len(drawing)
        evaluations = 12 * sprites * (1 if how is sampling else 2)
        reached = evaluations * drawing[0].spec.flops / seconds
        shares = reached / (MATMUL_FLOPS / multiplying)
        low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75])
        print(
            f"  {name:32} {sprites / seconds.min():7.1f} sprites/s, {reached.max() / 1e9:5.0f} "
            f"GFLOP/s at best; of the matmul rate {middle:.2f} ({low:.2f} to {high:.2f})"
        )


def _beside_matmuls(actions: Actions, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Each action's rounds, in seconds, with those of `MATMUL_FLOPS` around it."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    multiply = _matmul(DTYPE)
    for number in range(rounds + 1):
        before = _seconds(multiply)
        for name, action in actions.items():
            took, after = _seconds(action), _seconds(multiply)
            if number:  # the first warms up
                found[name].append((took, (before + after) / 2))
            before = after
    return found


def _ours(model: Model, sampling: Sampling) -> object:
    return render_tile(model, CONTEXTS, None, KEYS, sampling, lambda _: None, alpha="opaque")


def _drawn(model: Model, sampling: Sampling) -> object:
    """A tile of the model's classes in turn."""
    classes = np.eye(model.spec.context_length, dtype=np.float32)
    contexts = classes[np.arange(BATCH) % len(model.spec.classes)]
    return render_tile(model, contexts, None, KEYS, sampling, lambda _: None, alpha="keep")


def _at_once(models: Sequence[Model], sampling: Sampling) -> Callable[[], object]:
    """A tile of each model at the same time, on an equal share of the threads."""
    share = max(1, torch.get_num_threads() // len(models))
    # Each thread has a number of its own, which OpenMP keeps.
    pool = ThreadPoolExecutor(len(models), initializer=torch.set_num_threads, initargs=(share,))
    return lambda: list(pool.map(partial(_drawn, sampling=sampling), models))


def _timed(actions: Actions, rounds: int) -> dict[str, float]:
    """Each action's fastest round, in seconds."""
    return {name: min(seconds) for name, seconds in _rounds(actions, rounds).items()}


def _rounds(actions: Actions, rounds: int) -> dict[str, list[float]]:
    """Each action's rounds, in seconds."""
    took: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            seconds = _seconds(action)
            if number:  # the first warms up
                took[name].append(seconds)
    return took


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    wait()
    return time.perf_counter() - started


def _table(title: str, actions: Actions, rounds: int) -> None:
    took = _timed(actions, rounds)
    first = next(iter(took.values()))
    print(title)
    for name, seconds in took.items():
        print(f"  {name:34} {BATCH / seconds:9.1f} sprites/s   x {first / seconds:.2f}")
    print()


def _model(path: Path) -> tuple[Model, ContextUnet, dict[torch.dtype, Model]]:
    """The course's network as a file that is loaded as any other; as the course has it; and, by
    dtype, as it is loaded where that is the fastest.
    """
    spec = ModelSpec(
        name="course", title="Course", size=16, channels=3, classes=tuple("abcde"), words=(),
        sigma_min=BETAS.sigma[1], sigma_max=BETAS.sigma[-1], sigma_data=1.0,
        network="context-unet", unet=describe(CONFIG), flops=_flops(ContextUnet(CONFIG).eval()),
        betas={"timesteps": 500, "start": 1e-4, "end": 0.02},
        licence="", data="", trained="",
        defaults={"sampler": "dpmpp_2m", "steps": 12, "guidance": 1.0},
    )  # fmt: skip
    denoiser = build(spec)
    assert isinstance(denoiser, NoisePrediction)
    save_model(path, spec, denoiser)
    model = load_model(path, DEVICE)
    network = denoiser.unet.eval().requires_grad_(False).to(DEVICE)
    single = copy.deepcopy(denoiser)
    single.draw_only(DEVICE, torch.float32)
    drawing = {torch.float32: replace(model, denoiser=single), DTYPE: model}
    return model, network, drawing


def _drawing(network: ContextUnet, dtype: torch.dtype) -> ContextUnet:
    made = copy.deepcopy(network)
    made.draw_only(DEVICE, dtype)
    return made


def _flops(network: ContextUnet) -> int:
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 16, 16), torch.ones(1), torch.zeros(1, 5))
    return int(counter.get_total_flops())


def _matmul_rates(rounds: int) -> dict[str, float]:
    dtypes = {torch.float32, DTYPE}
    took = _timed({str(d).removeprefix("torch."): _matmul(d) for d in dtypes}, rounds)
    return {name: MATMUL_FLOPS / seconds / 1e9 for name, seconds in took.items()}


def _matmul(dtype: torch.dtype) -> Callable[[], object]:
    """`MATMUL_FLOPS` of one product after the other, as long as a tile or so."""
    square = torch.randn(2048, 2048).to(DEVICE, dtype)

    def multiply() -> None:
        for _ in range(MATMULS):
            torch.mm(square, square)

    return multiply


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each table")
    parser.add_argument("--threads", type=int, help="threads of torch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
