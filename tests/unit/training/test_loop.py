"""A training run: it learns, and a kill changes nothing."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
import torch

from core.diffusion.context_unet import ContextUNetConfig
from core.diffusion.noise_prediction import NoisePrediction
from core.diffusion.schedules import LinearBetas
from core.diffusion.unet import Preconditioned, UNetConfig
from core.errors import CorruptError
from core.training.evaluation import held_out_loss
from core.training.examples import Examples
from core.training.loop import Machine, Run
from core.training.recipe import Augment
from core.training.regime import COURSE, Budget, Regime, scaled

REGIME = Regime(batch=4, rate=2e-3, warm_up=4)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def fresh(
    examples: Examples, regime: Regime = REGIME, network: str = "unet", mixed: bool = False,
    times: int = 100,
) -> Run:  # fmt: skip
    torch.manual_seed(regime.seed)
    context = examples.context_length
    denoiser: Preconditioned | NoisePrediction
    if network == "unet":
        config = UNetConfig(4, context, widths=(16, 16, 16), embedding=16, heads=2)
        denoiser = Preconditioned(config, 0.5)
    else:
        sizes = ContextUNetConfig(4, features=8, context=context, size=16)
        denoiser = NoisePrediction(sizes, LinearBetas(times))
    varied = Augment(frozenset(examples.classes), shift=True)
    return Run(examples, denoiser, regime, varied=varied, machine=Machine(mixed=mixed))


def weights(run: Run) -> list[torch.Tensor]:
    both = [run.denoiser.state_dict(), run.ema.denoiser.state_dict()]
    return [value.clone() for state in both for value in state.values()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("network", ["unet", "context-unet"])
def test_a_killed_run_goes_on_bit_for_bit(examples: Examples, tmp_path: Path, network: str) -> None:
    budget, path = Budget(images=40), tmp_path / "checkpoint.safetensors"
    whole = fresh(examples, network=network)
    assert whole.train(budget)

    killed, stop = fresh(examples, network=network), Event()

    def kill() -> None:
        if killed.progress.step == 6:
            killed.save(path)
        if killed.progress.step == 8:
            stop.set()

    assert not killed.train(budget, kill, stop)
    assert killed.progress.step == 8
    resumed = fresh(examples, network=network)
    resumed.resume(path)
    assert resumed.progress.step == 6
    assert resumed.progress.seconds > 0
    resumed.train(budget)
    assert resumed.progress.step == whole.progress.step == 10
    assert same(weights(resumed), weights(whole))


@pytest.mark.parametrize("network", ["unet", "context-unet"])
def test_a_step_in_bfloat16_stays_near_one_in_float32(examples: Examples, network: str) -> None:
    losses = []
    for mixed in (False, True):
        run = fresh(examples, network=network, mixed=mixed)
        run.train(Budget(images=8))
        losses.append(run.mean_loss())
        assert all(p.dtype == torch.float32 for p in run.denoiser.parameters())
    assert losses[0] is not None
    assert losses[1] == pytest.approx(losses[0], rel=0.03)
    assert losses[1] != losses[0]


def test_mean_loss_is_that_of_the_steps_since_it_was_asked(examples: Examples) -> None:
    run = fresh(examples)
    assert run.mean_loss() is None
    run.train(Budget(images=8))
    first = run.mean_loss()
    assert first is not None
    assert first > 0
    assert run.mean_loss() is None


@pytest.mark.parametrize("network", ["unet", "context-unet"])
def test_training_lowers_the_loss(examples: Examples, network: str) -> None:
    run = fresh(examples, replace(REGIME, batch=8), network)
    before = held_out_loss(run.ema.denoiser, examples)
    run.train(Budget(images=8 * 60))
    after = held_out_loss(run.ema.denoiser, examples)
    assert before is not None
    assert after is not None
    assert after < 0.7 * before


@pytest.mark.parametrize("network", ["unet", "context-unet"])
def test_a_step_is_no_longer_than_clipped_gradients_allow(examples: Examples, network: str) -> None:
    run = fresh(examples, network=network)
    with torch.no_grad():
        for parameter in run.denoiser.parameters():
            parameter.mul_(30)  # so that the gradients are large
    run.train(Budget(images=4))
    first = [run.optimizer.state[each]["exp_avg"] for each in run.denoiser.parameters()]
    length = torch.cat([each.flatten() for each in first]).norm() / (1 - REGIME.betas[0])
    assert float(length) == pytest.approx(1, rel=1e-3)


def test_average_lies_between_old_and_new_weights(examples: Examples) -> None:
    run = fresh(examples)
    name = "unet.enter.weight"
    old = run.denoiser.state_dict()[name].clone()
    run.train(Budget(images=4))
    new, average = (one.state_dict()[name] for one in (run.denoiser, run.ema.denoiser))
    expected = old + (new - old) / 1.12
    torch.testing.assert_close(average, expected)


def test_a_checkpoint_of_other_data_is_refused(examples: Examples, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    run = fresh(examples)
    run.train(Budget(images=4))
    run.save(path)
    fewer = examples.take(torch.arange(20).numpy())
    with pytest.raises(CorruptError, match="other data"):
        fresh(fewer).resume(path)
    with pytest.raises(CorruptError, match="other data"):
        fresh(examples, replace(REGIME, rate=1e-4)).resume(path)


def test_a_checkpoint_of_other_times_is_refused(examples: Examples, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    run = fresh(examples, network="context-unet")
    run.train(Budget(images=4))
    run.save(path)
    with pytest.raises(CorruptError, match="other data"):
        fresh(examples, network="context-unet", times=50).resume(path)


@pytest.mark.parametrize("kept", [0, 5, 2000])
def test_a_torn_checkpoint_is_refused(examples: Examples, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "checkpoint.safetensors"
    run = fresh(examples)
    run.train(Budget(images=4))
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


def test_course_rate_falls_on_a_line_from_the_first_step() -> None:
    rates = [COURSE.rate_at(step, step / 10) for step in range(11)]
    assert rates == pytest.approx([1e-3 * (1 - step / 10) for step in range(11)])


def test_larger_batches_learn_faster_up_to_a_bound() -> None:
    assert scaled(Regime(batch=32, rate=7e-4), 128).rate == pytest.approx(1.4e-3)
    assert scaled(Regime(batch=32, rate=7e-4), 4096).rate == 2e-3


def test_budget_tells_the_seconds_that_are_left() -> None:
    assert Budget(images=100).left(50, 10.0, 5.0) == 10
    assert Budget(images=100, seconds=12).left(50, 10.0, 5.0) == 2
    assert Budget(seconds=12).left(50, 20.0, 5.0) == 0


def test_budget_ends_by_what_is_spent_first() -> None:
    assert Budget(images=100).spent(50, 1e9) == 0.5
    assert Budget(seconds=10).spent(10**9, 5) == 0.5
    assert Budget(images=100, seconds=10).spent(90, 1) == 0.9
    assert Budget(images=100, seconds=10).spent(10, 20) == 1.0


def test_nothing_held_out_has_no_loss(examples: Examples) -> None:
    none = examples.take(torch.arange(0).numpy())
    assert held_out_loss(fresh(examples).denoiser, none) is None
