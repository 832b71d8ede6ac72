"""Training on a CUDA device: it waits for nothing, and a resumed run ends in the same bits."""

from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch

from core.diffusion.device import pick_device
from core.training import blueprint
from core.training.augment import with_word
from core.training.examples import Examples
from core.training.loop import Machine, Run
from core.training.options import Network, Options
from core.training.recipe import Augment
from core.training.regime import Budget, Regime

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
BATCH = 64


@pytest.fixture
def examples() -> Examples:
    draw = np.random.default_rng(0)
    return with_word(
        Examples(
            images=draw.integers(0, 256, (200, 32, 32, 4), dtype=np.uint8),
            labels=draw.integers(0, 3, 200),
            words=tuple((int(word),) for word in draw.integers(0, 4, 200)),
            composed=np.zeros(200, dtype=bool),
            classes=("axe", "potion", "sword"),
            vocabulary=("blue", "great", "old", "red"),
        )
    )


def fresh(examples: Examples, network: Network, compiled: bool) -> Run:
    options = Options(data="", out="", name="tiny", network=network)
    denoiser = blueprint.make(blueprint.draft(options, examples, 4), 0)
    return Run(
        examples, denoiser, Regime(batch=BATCH), machine=Machine(pick_device(), True, compiled),
        varied=Augment(frozenset({"axe"}), shift=True, recolour=0.2),
    )  # fmt: skip


@pytest.mark.parametrize("network", ["unet", "context-unet"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_does_not_wait_for_the_device(
    examples: Examples, network: Network, compiled: bool
) -> None:
    run = fresh(examples, network, compiled)
    run.train(Budget(images=2 * BATCH))
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        run.train(Budget(images=5 * BATCH))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert run.mean_loss()


@pytest.mark.parametrize("network", ["unet", "context-unet"])
def test_a_resumed_run_ends_in_the_same_bits(
    examples: Examples, tmp_path: Path, network: Network
) -> None:
    whole, first, second = (fresh(examples, network, compiled=False) for _ in range(3))
    budget, stop = Budget(images=8 * BATCH), Event()
    whole.train(budget)

    def halfway() -> None:
        if first.progress.step == 4:
            stop.set()

    first.train(budget, halfway, stop)
    first.save(tmp_path / "checkpoint.safetensors")
    second.resume(tmp_path / "checkpoint.safetensors")
    second.train(budget)
    states = [run.ema.denoiser.state_dict() for run in (whole, second)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
