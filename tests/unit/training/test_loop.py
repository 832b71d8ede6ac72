"""A training run: it learns, and a kill changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.diffusion.unet import UNetConfig
from core.errors import CorruptError
from core.training.dataset import Examples
from core.training.evaluation import held_out_loss
from core.training.loop import Budget, Regime, Run

REGIME = Regime(batch=4, rate=2e-3, warm_up=4)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def fresh(examples: Examples, regime: Regime = REGIME) -> Run:
    context = len(examples.classes) + len(examples.vocabulary)
    config = UNetConfig(4, context, widths=(16, 16, 16), embedding=16, heads=2)
    return Run(examples, config, 0.5, regime)


def weights(run: Run) -> list[torch.Tensor]:
    both = [*run.denoiser.parameters(), *run.ema.denoiser.parameters()]
    return [parameter.detach().clone() for parameter in both]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_killed_run_goes_on_bit_for_bit(examples: Examples, tmp_path: Path) -> None:
    budget, path = Budget(images=40), tmp_path / "checkpoint.safetensors"
    whole = fresh(examples)
    whole.train(budget, on_step=lambda _: None)

    killed = fresh(examples)

    def kill(loss: float) -> None:
        if killed.progress.step == 6:
            killed.save(path)
        if killed.progress.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed.train(budget, kill)
    resumed = fresh(examples)
    resumed.resume(path)
    assert resumed.progress.step == 6
    assert resumed.progress.seconds > 0
    resumed.train(budget, on_step=lambda _: None)
    assert resumed.progress.step == whole.progress.step == 10
    assert same(weights(resumed), weights(whole))


def test_training_lowers_the_loss(examples: Examples) -> None:
    run = fresh(examples, replace(REGIME, batch=8))
    before = held_out_loss(run.denoiser, examples)
    run.train(Budget(images=8 * 60), on_step=lambda _: None)
    after = held_out_loss(run.ema.denoiser, examples)
    assert before is not None
    assert after is not None
    assert after < 0.7 * before


def test_average_lies_between_old_and_new_weights(examples: Examples) -> None:
    run = fresh(examples)
    old = run.denoiser.unet.enter.weight.detach().clone()
    run.train(Budget(images=4), on_step=lambda _: None)
    new, average = run.denoiser.unet.enter.weight, run.ema.denoiser.unet.enter.weight
    expected = old + (new - old) / 1.12
    torch.testing.assert_close(average, expected.detach())


def test_a_checkpoint_of_other_data_is_refused(examples: Examples, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    run = fresh(examples)
    run.train(Budget(images=4), on_step=lambda _: None)
    run.save(path)
    fewer = examples.take(torch.arange(20).numpy())
    with pytest.raises(CorruptError, match="other data"):
        fresh(fewer).resume(path)
    with pytest.raises(CorruptError, match="other data"):
        fresh(examples, replace(REGIME, rate=1e-4)).resume(path)


@pytest.mark.parametrize("kept", [0, 5, 2000])
def test_a_torn_checkpoint_is_refused(examples: Examples, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "checkpoint.safetensors"
    run = fresh(examples)
    run.train(Budget(images=4), on_step=lambda _: None)
    run.save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CorruptError, match="no checkpoint of this run"):
        fresh(examples).resume(path)


def test_rate_rises_stays_and_falls_to_nothing() -> None:
    regime = Regime(rate=1.0, warm_up=10, decay_from=0.5)
    assert regime.rate_at(0, 0.0) == pytest.approx(0.1)
    assert regime.rate_at(9, 0.1) == regime.rate_at(500, 0.49) == 1.0
    assert regime.rate_at(500, 0.75) == pytest.approx(0.5)
    assert regime.rate_at(500, 1.0) == pytest.approx(0.0)


def test_budget_ends_by_what_is_spent_first() -> None:
    assert Budget(images=100).spent(50, 1e9) == 0.5
    assert Budget(seconds=10).spent(10**9, 5) == 0.5
    assert Budget(images=100, seconds=10).spent(90, 1) == 0.9
    assert Budget(images=100, seconds=10).spent(10, 20) == 1.0


def test_nothing_held_out_has_no_loss(examples: Examples) -> None:
    none = examples.take(torch.arange(0).numpy())
    assert held_out_loss(fresh(examples).denoiser, none) is None
