"""Beginning from weights that are there already."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.diffusion.model import load_model, save_model
from core.errors import ModelError, UsageError
from core.training import blueprint, warm_start
from core.training.examples import Examples
from core.training.loop import Run
from core.training.options import Network, Options
from core.training.regime import Budget, Regime

COLUMNS = {"unet": "unet.context.weight", "context-unet": "unet.contextembed1.model.0.weight"}


def fresh(examples: Examples, network: Network = "unet", seed: int = 0, batch: int = 2) -> Run:
    torch.set_num_threads(1)
    options = Options(data="", out="", name="tiny", network=network, size=16)
    denoiser = blueprint.make(blueprint.draft(options, examples, 4), seed)
    return Run(examples, denoiser, Regime(batch=batch, seed=seed))


def renamed(examples: Examples) -> Examples:
    """A class more, a class renamed and a word less."""
    return replace(
        examples, classes=("axe", *examples.classes[:-1], "blade"),
        labels=examples.labels + 1, vocabulary=examples.vocabulary[1:],
        words=((),) * len(examples.words),
    )  # fmt: skip


@pytest.mark.parametrize("network", ["unet", "context-unet"])
def test_weights_are_taken_over_by_name(
    examples: Examples, tmp_path: Path, network: Network
) -> None:
    options = Options(data="", out="", name="tiny", network=network, size=16)
    old = fresh(examples, network)
    path = tmp_path / "model.safetensors"
    save_model(path, blueprint.draft(options, examples, 4), old.ema.denoiser)
    run = fresh(renamed(examples), network, seed=1)
    untouched = run.denoiser.state_dict()[COLUMNS[network]].clone()
    warm_start.begin(run, path)
    before, after = (one.denoiser.state_dict()[COLUMNS[network]] for one in (old, run))
    for column, name in enumerate(run.names):
        if name in old.names:
            expected = before[:, old.names.index(name)].half().float()
        else:
            expected = untouched[:, column]
        assert torch.equal(after[:, column], expected), name
    assert not {"axe", "blade"} & set(old.names)
    assert run.progress.step == run.all_images == 0
    assert torch.equal(run.ema.denoiser.state_dict()[COLUMNS[network]], after)


def test_a_checkpoint_gives_average_moments_and_images_too(
    examples: Examples, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    old = fresh(examples)
    old.train(Budget(images=6))
    old.save(path)
    run = fresh(renamed(examples), seed=1)
    warm_start.begin(run, path)
    assert (run.images, run.all_images) == (0, 6)
    name = "unet.enter.weight"
    for ours, theirs in ((run.denoiser, old.denoiser), (run.ema.denoiser, old.ema.denoiser)):
        assert torch.equal(ours.state_dict()[name], theirs.state_dict()[name])
    moments = [
        one.optimizer.state[dict(one.denoiser.named_parameters())[name]] for one in (run, old)
    ]
    for key in ("step", "exp_avg", "exp_avg_sq"):
        assert torch.equal(moments[0][key], moments[1][key])
    run.train(Budget(images=2))
    assert run.all_images == 8
    larger = fresh(examples, batch=4)
    warm_start.begin(larger, path)
    assert larger.all_images == 6, "as many as were shown, whatever a step shows now"


def test_another_network_is_refused_with_what_differs(examples: Examples, tmp_path: Path) -> None:
    options = Options(data="", out="", name="tiny", network="context-unet", size=16)
    path = tmp_path / "model.safetensors"
    spec = blueprint.draft(options, examples, 4)
    save_model(path, spec, fresh(examples, "context-unet").denoiser)
    assert load_model(path).spec == spec
    with pytest.raises(UsageError, match=r"missing.*--network"):
        warm_start.begin(fresh(examples), path)


def test_a_model_of_other_times_is_refused(examples: Examples, tmp_path: Path) -> None:
    options = Options(data="", out="", name="t", network="context-unet", size=16, times=1000)
    path = tmp_path / "model.safetensors"
    spec = blueprint.draft(options, examples, 4)
    save_model(path, spec, blueprint.make(spec, 0))
    with pytest.raises(UsageError, match=r"1000 times, not 500.*--times 1000"):
        warm_start.begin(fresh(examples, "context-unet"), path)


def test_a_file_that_is_neither_is_refused(examples: Examples, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(UsageError, match="no such file"):
        warm_start.begin(fresh(examples), path)
    whole = tmp_path / "model.safetensors"
    options = Options(data="", out="", name="t", size=16)
    spec = blueprint.draft(options, examples, 4)
    save_model(whole, spec, blueprint.make(spec, 0))
    path.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(ModelError, match="no whole file"):
        warm_start.begin(fresh(examples), path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match=r"x\.safetensors is not a Spritemill model"):
        warm_start.begin(fresh(examples), path)
