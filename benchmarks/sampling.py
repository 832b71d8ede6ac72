"""What sampling costs, and what each measure against it gains, as ratios of one run.

The network is the course's (16x16x3, 64 features, 5 contexts) with random weights, which cost what
learnt ones do, in batches of a tile. Every line of a table is timed in turn, round after round, and
its fastest round counts, so that a busy machine slows all of them alike.

Compiled kernels are timed where they can be made, and `diffusers` if it is installed.
"""

import argparse
import copy
import importlib.util
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from core import weights
from core.diffusion.context_unet import ContextUnet, ContextUNetConfig
from core.diffusion.device import compute_dtype, numerics, pick_device, tile_size
from core.diffusion.guidance import Guided
from core.diffusion.model import Model, build, describe, load_model, save_model
from core.diffusion.noise import SampleNoise
from core.diffusion.noise_prediction import NoisePrediction
from core.diffusion.schedules import LinearBetas
from core.diffusion.tile import render_tile
from core.errors import ModelError
from core.request.plan import noise_key
from core.request.spec import Sampling
from core.weights.spec import ModelSpec

CONFIG = ContextUNetConfig()
BETAS = LinearBetas()
DEVICE = pick_device()
DTYPE = compute_dtype(DEVICE)
BATCH = tile_size(DEVICE)
KEYS = [noise_key(0, "benchmark", index) for index in range(BATCH)]
CONTEXTS = np.eye(5, dtype=np.float32)[np.arange(BATCH) % 5]
SHAPE = (BATCH, 3, 16, 16)
COURSE_STEPS = 25  # of its 500, all alike
MATMULS = 10
MATMUL_FLOPS = MATMULS * 2 * 2048**3

Actions = dict[str, Callable[[], object]]


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads or torch.get_num_threads())
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        path = Path(folder) / "course.safetensors"
        model, network, drawing = _model(path)
        models = {"course": model, "bundled": load_model(weights.bundled(), DEVICE)}
        try:
            kernels = Path(folder) / "kernels"
            models["course, compiled"] = load_model(path, DEVICE, kernels)
            models["bundled, compiled"] = load_model(weights.bundled(), DEVICE, kernels)
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
            _table(title, _loops(ours, network, dtype), options.rounds)
        _table("one guided evaluation", _guided(model), options.rounds)
        _shares(model, options.rounds)
        _headline(models, network, options.rounds)


def _forwards(network: ContextUnet, compiled: Model | None) -> Actions:
    x, t, c = _noise(), torch.rand(BATCH).to(DEVICE), _contexts()
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


def _loops(model: Model, network: ContextUnet, dtype: torch.dtype) -> Actions:
    plain = copy.deepcopy(network).to(dtype)
    found: Actions = {
        "the course's loop": partial(_course, plain, BETAS.times(25)),
    }
    if importlib.util.find_spec("diffusers") is None:
        print("diffusers is not installed: its loop is left out\n")
    else:
        found["diffusers' loop"] = partial(_diffusers, plain, _scheduler())
    found["ours"] = partial(_ours, model, Sampling(sampler="ddim", steps=25, guidance=1.0))
    return found


def _guided(model: Model) -> Actions:
    x, sigma, context = _noise(), torch.full((BATCH,), 2.0), _contexts()

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
    x, sigma, context = _noise(), torch.full((BATCH,), 2.0), _contexts()
    t = torch.rand(BATCH).to(DEVICE)
    took = _timed(
        {
            "step": lambda: model.denoiser(x, sigma, context),
            "embedding times": lambda: (unet.timeembed1(t), unet.timeembed2(t)),
            "contexts, after the first step": lambda: (
                unet.contextembed1(context.to(unet.dtype)),
                unet.contextembed2(context.to(unet.dtype)),
            ),
            "levels as times": lambda: model.denoiser.time(sigma),
            "the sampler's arithmetic": lambda: x + 0.3 * (x - x),
            "noise (ddpm, ddim with eta)": lambda: noise.step(3),
        },
        rounds,
    )
    print("beside the network, at each step")
    for name in list(took)[1:]:
        print(f"  {name:34} {100 * took[name] / took['step']:6.2f} % of an evaluation")
    print()


def _headline(models: dict[str, Model], network: ContextUnet, rounds: int) -> None:
    """Against the course's 500 steps; and each against what the machine multiplies right before
    and after it, for a shared machine's rate rises and falls within seconds.
    """
    sampling = Sampling(sampler="dpmpp_2m", steps=12, guidance=1.0)
    asked = {name: (model, sampling) for name, model in models.items()}
    for name, model in models.items():
        guided = sampling.model_copy(
            update={"sampler": model.spec.defaults.sampler, "guidance": 2.5}
        )
        asked[f"{name}, guided"] = (model, guided)
    drawn: Actions = {name: partial(_drawn, *each) for name, each in asked.items()}
    took = _timed({"whole": partial(_course_whole, network), "ours": drawn["course"]}, rounds)
    course = BATCH / (took["whole"] * BETAS.timesteps / COURSE_STEPS)
    ours = BATCH / took["ours"]
    print(f"the course's 500 steps      {course:8.2f} sprites/s ({COURSE_STEPS} of them timed)")
    print(f"12 evaluations of ours      {ours:8.2f} sprites/s   x {ours / course:.1f}\n")
    pairs = _beside_matmuls(drawn, rounds)
    rates = MATMUL_FLOPS / np.concatenate(list(pairs.values()))[:, 1]
    print(
        f"matmul, before and after each: {rates.min() / 1e9:.0f} to {rates.max() / 1e9:.0f} GFLOP/s"
    )
    for name, (model, how) in asked.items():
        seconds, multiplying = np.array(pairs[name]).T
        evaluations = 12 * BATCH * (1 if how is sampling else 2)
        reached = evaluations * model.spec.flops / seconds
        shares = reached / (MATMUL_FLOPS / multiplying)
        low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75])
        print(
            f"  {name:26} {BATCH / seconds.min():7.1f} sprites/s, {reached.max() / 1e9:5.0f} "
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


def _course(network: ContextUnet, times: list[int]) -> Tensor:
    """DDIM as the course writes it: a tensor of the time and the coefficients at each step."""
    alpha_bar = torch.tensor(BETAS.alpha_bar, dtype=network.dtype, device=DEVICE)
    x, context = _start(network.dtype)
    for now, then in pairwise(times):
        t = torch.tensor([now / BETAS.timesteps], dtype=network.dtype, device=DEVICE)
        noise = network(x, t[:, None, None, None], context)
        a, b = alpha_bar[now], alpha_bar[then]
        x = b.sqrt() / a.sqrt() * (x - (1 - a).sqrt() * noise) + (1 - b).sqrt() * noise
    return x


def _course_whole(network: ContextUnet) -> Tensor:
    """The first of the course's 500 steps with its extra noise."""
    betas = torch.tensor([1 - b / a for a, b in pairwise(BETAS.alpha_bar)], device=DEVICE)
    alpha_bar = torch.tensor(BETAS.alpha_bar, device=DEVICE)
    x, context = _start(torch.float32)
    for now in range(BETAS.timesteps, BETAS.timesteps - COURSE_STEPS, -1):
        t = torch.tensor([now / BETAS.timesteps], device=DEVICE)[:, None, None, None]
        noise, beta = network(x, t, context), betas[now - 1]
        mean = (x - noise * (beta / (1 - alpha_bar[now]).sqrt())) / (1 - beta).sqrt()
        x = mean + beta.sqrt() * torch.randn_like(x)
    return x


def _scheduler() -> object:
    from diffusers import DDIMScheduler

    betas = [1 - b / a for a, b in pairwise(BETAS.alpha_bar)]
    return DDIMScheduler(
        num_train_timesteps=BETAS.timesteps, trained_betas=betas, clip_sample=False,
        timestep_spacing="trailing",
    )  # fmt: skip


def _diffusers(network: ContextUnet, scheduler: object) -> Tensor:
    """The loop of diffusers' DDIM pipeline, around the same network."""
    scheduler.set_timesteps(25)
    x, context = _start(network.dtype)
    for t in scheduler.timesteps:
        share = ((t + 1)[None] / BETAS.timesteps).to(DEVICE, network.dtype)
        noise = network(x, share, context)
        x = scheduler.step(noise, t, x).prev_sample
    return x


def _start(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Noise, and the contexts."""
    return _noise().to(dtype), _contexts().to(dtype)


def _noise() -> Tensor:
    return torch.randn(SHAPE).to(DEVICE)


def _contexts() -> Tensor:
    return torch.from_numpy(CONTEXTS).to(DEVICE)


def _ours(model: Model, sampling: Sampling) -> object:
    return render_tile(model, CONTEXTS, None, KEYS, sampling, lambda _: None, alpha="opaque")


def _drawn(model: Model, sampling: Sampling) -> object:
    """A tile of the model's classes in turn."""
    classes = np.eye(model.spec.context_length, dtype=np.float32)
    contexts = classes[np.arange(BATCH) % len(model.spec.classes)]
    return render_tile(model, contexts, None, KEYS, sampling, lambda _: None, alpha="keep")


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
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
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
