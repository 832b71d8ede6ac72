"""A whole training run, from what was asked to a model in a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import torch
from filelock import FileLock, Timeout

from core import weights
from core.diffusion.device import compute_dtype, pick_device
from core.diffusion.model import Trainable
from core.errors import ConflictError, NotFoundError, UsageError
from core.storage.files import disk_errors
from core.training import blueprint, dataset, noising, sources, warm_start
from core.training.augment import with_word
from core.training.examples import Examples
from core.training.loop import Machine, Run
from core.training.options import CHECKPOINT, Options
from core.training.pixels import channels as needed_channels
from core.training.recipe import DUNGEON, Augment
from core.training.regime import COURSE, Budget, Regime, scaled
from core.training.split import bounded, split
from core.training.watch import MODEL, NOISING, Emit, Goal, Watch
from core.weights.spec import ModelSpec

_CUDA_BATCH = 512
_NOISING_STAGES = 7
_MINUTES = 60.0


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The parts of a run before its first step."""

    learnt: Examples
    tested: Examples
    spec: ModelSpec
    varied: Augment


def train(options: Options, emit: Emit, stop: Event) -> None:
    """Train until the budget is spent or `stop` is set; the last event is `done`.

    Raises SpritemillError.
    """
    out = Path(options.out)
    with _alone(out):
        checkpoint = out / CHECKPOINT
        _refuse_confusion(checkpoint, resume=options.resume)
        if options.begin_from:
            warm_start.refuse_missing(Path(options.begin_from))
        prepared = _prepare(options)
        machine, denoiser = _machine(options), blueprint.make(prepared.spec, options.seed)
        spec = prepared.spec
        spec = spec.model_copy(update={"flops": blueprint.flops(denoiser, spec)})
        run = _run(options, prepared, denoiser, machine)
        if options.resume:
            run.resume(checkpoint)
        elif options.begin_from:
            warm_start.begin(run, Path(options.begin_from))
        budget = _budget(options)
        goal = Goal(spec, prepared.tested, budget, out, options.look_minutes * 60)
        with disk_errors(str(out)):
            _draw_noising(out, prepared)
            emit(_begun(run, prepared))
            watch = Watch(run, goal, emit)
            finished = run.train(budget, watch, stop)
            if finished:
                watch.look(last=True)
            else:
                watch.keep()
        emit(_done(run, out, finished=finished))


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    lock = FileLock(out / ".lock", blocking=False)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ConflictError(f"out = {out}: another training writes there.") from None
    except OSError as error:
        raise UsageError(f"out = {out}: it cannot be written: {error}.") from error
    try:
        yield
    finally:
        lock.release()


def _refuse_confusion(checkpoint: Path, *, resume: bool) -> None:
    if resume and not checkpoint.is_file():
        raise NotFoundError(f"{checkpoint} is not there.", remedy="Leave --resume out.")
    if checkpoint.is_file() and not resume:
        raise ConflictError(
            f"{checkpoint} is there already.",
            remedy="Go on from it with --resume, or give another folder.",
        )


def _prepare(options: Options) -> _Prepared:
    path = Path(options.data)
    if options.recipe == "dungeon":
        examples, varied = dataset.read(path, DUNGEON, options.seed), DUNGEON.varied
    else:
        examples = sources.read(path, options.size, options.classes)
        everything = frozenset((*examples.classes, ""))
        mirrored = everything if options.mirror else frozenset[str]()
        varied = Augment(mirrored, shift=options.shift, recolour=options.recolour)
    if varied.recolour:
        examples = with_word(examples)
    count = needed_channels(examples.images)
    channels = count if options.channels == "auto" else int(options.channels)
    share = bounded(options.held_out, len(examples.images))
    learnt, tested = split(examples, share, options.seed)
    return _Prepared(learnt, tested, blueprint.draft(options, examples, channels), varied)


def _machine(options: Options) -> Machine:
    device = torch.device("cpu") if options.device == "cpu" else pick_device()
    if options.device == "cuda" and device.type != "cuda":
        raise UsageError("device = cuda: torch finds none here.", remedy="Give --device cpu.")
    mixed = compute_dtype(device) == torch.bfloat16
    return Machine(
        device,
        mixed if options.precision == "auto" else options.precision == "bf16",
        device.type == "cuda" if options.compile == "auto" else options.compile == "yes",
    )


def _run(options: Options, prepared: _Prepared, denoiser: Trainable, machine: Machine) -> Run:
    regime = replace(COURSE if options.network == "context-unet" else Regime(), seed=options.seed)
    large = machine.device.type == "cuda" and options.network == "unet"
    regime = scaled(regime, options.batch or (_CUDA_BATCH if large else regime.batch))
    if options.rate:
        regime = replace(regime, rate=options.rate)
    if options.recipe == "dungeon":
        regime = replace(regime, shares={DUNGEON.doll_class: DUNGEON.doll_share})
    return Run(
        prepared.learnt, denoiser, regime,
        channels=prepared.spec.channels, varied=prepared.varied, machine=machine,
    )  # fmt: skip


def _budget(options: Options) -> Budget:
    if not options.images and not options.minutes:
        return Budget(seconds=_MINUTES * 60)
    infinity = float("inf")
    return Budget(options.images or infinity, options.minutes * 60 or infinity)


def _draw_noising(out: Path, prepared: _Prepared) -> None:
    spec = prepared.spec
    ratio = (spec.sigma_max / spec.sigma_min) ** (1 / (_NOISING_STAGES - 1))
    sigmas = [spec.sigma_min * ratio**stage for stage in range(_NOISING_STAGES)]
    noising.draw(spec, prepared.learnt, sigmas).save(out / NOISING)


def _begun(run: Run, prepared: _Prepared) -> dict[str, object]:
    spec, machine = prepared.spec, run.machine
    return {
        "event": "begin", "sprites": len(prepared.learnt.images),
        "held_out": len(prepared.tested.images), "classes": len(spec.classes),
        "words": len(spec.words), "size": spec.size, "channels": spec.channels,
        "network": spec.network,
        "parameters": sum(p.numel() for p in run.denoiser.parameters()),
        "batch": run.regime.batch, "rate": run.regime.rate, "device": machine.device.type,
        "precision": "bf16" if machine.mixed else "fp32", "compiled": machine.compiled,
        "step": run.progress.step,
    }  # fmt: skip


def _done(run: Run, out: Path, *, finished: bool) -> dict[str, object]:
    model = out / MODEL
    kept = model.is_file()
    return {
        "event": "done", "finished": finished, "model": str(model) if kept else None,
        "sha256": weights.sha256(model) if kept else None, "step": run.progress.step,
        "images": run.images, "seconds": round(run.progress.seconds, 1),
    }  # fmt: skip
