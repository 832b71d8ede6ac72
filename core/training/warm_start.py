"""Beginning a run from weights that were trained before, on these names or on others."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from core import weights
from core.diffusion.noise_prediction import NoisePrediction
from core.errors import CorruptError, ModelError, UsageError
from core.training import checkpoint
from core.training.loop import Run
from core.weights.spec import ModelSpec

_CONTEXTS = ("unet.context.weight", "unet.contextembed1.model.0.weight",
             "unet.contextembed2.model.0.weight")  # fmt: skip
"""The parameters with a column for each class and word."""


def begin(run: Run, path: Path) -> None:
    """Give a fresh run the weights of a model's file, or of a checkpoint with its average and
    moments. Classes and words keep what was learnt of them; new ones begin anew.

    Raises UsageError when the network is another, ModelError for a file that is neither.
    """
    refuse_missing(path)
    try:
        spec = weights.read_spec(path)
    except ModelError as error:
        try:
            saved = checkpoint.read(path)
        except CorruptError:
            raise error from None
        _begin_from_checkpoint(run, path, saved)
        return
    _refuse_other_times(run, path, spec)
    names = [*spec.classes, *spec.words]
    try:
        tensors = {name: value.float() for name, value in load_file(path).items()}
    except SafetensorError as error:
        raise ModelError(
            f"from = {path}: it is no whole file of weights: {error}.", remedy="Copy it again."
        ) from error
    for denoiser in (run.denoiser, run.ema.denoiser):
        denoiser.load_state_dict(_fitted(run, path, denoiser.state_dict(), tensors, names))


def refuse_missing(path: Path) -> None:
    """Raises UsageError."""
    if not path.is_file():
        raise UsageError(f"from = {path}: there is no such file.")


def _refuse_other_times(run: Run, path: Path, spec: ModelSpec) -> None:
    ours = run.denoiser.betas.timesteps if isinstance(run.denoiser, NoisePrediction) else None
    if ours and spec.betas and spec.betas.timesteps != ours:
        raise UsageError(
            f"from = {path}: it predicts noise at {spec.betas.timesteps} times, not {ours}.",
            remedy=f"Give --times {spec.betas.timesteps}.",
        )


def _begin_from_checkpoint(run: Run, path: Path, saved: checkpoint.Saved) -> None:
    for denoiser, prefix in ((run.denoiser, "net."), (run.ema.denoiser, "ema.")):
        ours = denoiser.state_dict()
        denoiser.load_state_dict(_fitted(run, path, ours, saved.under(prefix), saved.names))
    parameters = dict(run.denoiser.named_parameters())
    for key in ("exp_avg", "exp_avg_sq"):
        zeros = {name: torch.zeros_like(value) for name, value in parameters.items()}
        fitted = _fitted(run, path, zeros, saved.under(f"adam.{key}."), saved.names)
        for name, parameter in parameters.items():
            run.optimizer.state[parameter][key] = checkpoint.placed(fitted[name], parameter)
    steps = saved.under("adam.step.")
    for name, parameter in parameters.items():
        run.optimizer.state[parameter]["step"] = steps[name].to(parameter.device)
    batch = saved.progress.batch or run.regime.batch  # files of before do not tell
    seen = saved.progress.earlier + saved.progress.step * batch
    run.progress = replace(run.progress, earlier=seen)


def _fitted(
    run: Run, path: Path, ours: dict[str, Tensor], theirs: dict[str, Tensor], names: Sequence[str]
) -> dict[str, Tensor]:
    """Their tensors for our parameters, the contexts' columns by name."""
    place = {name: index for index, name in enumerate(names)}
    shared = [(i, place[name]) for i, name in enumerate(run.names) if name in place]
    fitted = {}
    for name, own in ours.items():
        value = theirs.get(name)
        if value is not None and name in _CONTEXTS and value.shape[1] == len(names):
            value, theirs_value = own.clone(), value
            for column, source in shared:
                value[:, column] = theirs_value[:, source]
        if value is None or value.shape != own.shape:
            raise UsageError(
                f"from = {path}: its network is another than the one to train: {name} is "
                f"{'missing' if value is None else tuple(value.shape)}, not {tuple(own.shape)}.",
                remedy="Give the same --network, --size and --channels.",
            )
        fitted[name] = value
    return fitted
