"""The course's network against its own arithmetic, written out from the weights."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from core.diffusion.context_unet import ContextUnet, ContextUNetConfig
from core.errors import ModelError

from .conftest import learnt

State = dict[str, Tensor]


def block(w: State, name: str, x: Tensor) -> Tensor:
    h = x
    for part in ("conv1", "conv2"):
        key = f"{name}.{part}"
        h = functional.conv2d(h, w[f"{key}.0.weight"], w[f"{key}.0.bias"], padding=1)
        mean, var = w[f"{key}.1.running_mean"], w[f"{key}.1.running_var"]
        h = (h - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
        h = h * w[f"{key}.1.weight"][:, None, None] + w[f"{key}.1.bias"][:, None, None]
        h = 0.5 * h * (1 + torch.erf(h / 2**0.5))
    return h


def embed(w: State, name: str, x: Tensor) -> Tensor:
    h = x @ w[f"{name}.model.0.weight"].T + w[f"{name}.model.0.bias"]
    h = functional.gelu(h) @ w[f"{name}.model.2.weight"].T + w[f"{name}.model.2.bias"]
    return h[:, :, None, None]


def up(w: State, name: str, x: Tensor) -> Tensor:
    x = functional.conv_transpose2d(
        x, w[f"{name}.model.0.weight"], w[f"{name}.model.0.bias"], stride=2
    )
    return block(w, f"{name}.model.2", block(w, f"{name}.model.1", x))


def reference(w: State, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
    shortcut = functional.conv2d(x, w["init_conv.shortcut.weight"], w["init_conv.shortcut.bias"])
    x = (shortcut + block(w, "init_conv", x)) / 1.414
    first = block(w, "down1.model.1", block(w, "down1.model.0", x))
    d1 = functional.max_pool2d(first, 2)
    second = block(w, "down2.model.1", block(w, "down2.model.0", d1))
    d2 = functional.max_pool2d(second, 2)
    vector = functional.gelu(functional.avg_pool2d(d2, 4))
    h = functional.conv_transpose2d(
        vector, w["up0.0.weight"], w["up0.0.bias"], stride=w["up0.0.weight"].shape[-1]
    )
    h = functional.relu(functional.group_norm(h, 8, w["up0.1.weight"], w["up0.1.bias"]))
    h = embed(w, "contextembed1", c) * h + embed(w, "timeembed1", t[:, None])
    h = up(w, "up1", torch.cat([h, d2], 1))
    h = embed(w, "contextembed2", c) * h + embed(w, "timeembed2", t[:, None])
    h = torch.cat([up(w, "up2", torch.cat([h, d1], 1)), x], 1)
    h = functional.conv2d(h, w["out.0.weight"], w["out.0.bias"], padding=1)
    h = functional.relu(functional.group_norm(h, 8, w["out.1.weight"], w["out.1.bias"]))
    return functional.conv2d(h, w["out.3.weight"], w["out.3.bias"], padding=1)


def inputs(config: ContextUNetConfig, count: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(count, config.channels, config.size, config.size, generator=generator)
    t = torch.rand(count, generator=generator)
    return x, t, torch.randn(count, config.context, generator=generator)


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("size", [16, 20, 24, 28])
def test_network_computes_what_the_courses_does(size: int) -> None:
    config = ContextUNetConfig(features=16, size=size)
    network = learnt(ContextUnet(config)).double()
    x, t, c = (each.double() for each in inputs(config))
    expected = reference(network.state_dict(), x, t, c)
    torch.testing.assert_close(network(x, t, c), expected, rtol=1e-9, atol=1e-9)


def test_the_same_input_gives_the_same_output() -> None:
    network = learnt(ContextUnet(ContextUNetConfig(features=8)))
    arguments = inputs(network.config)
    assert torch.equal(network(*arguments), network(*arguments))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [4, 8, 12, 16, 28, 32, 36, 64])
def test_any_multiple_of_four_pixels_can_be_drawn(size: int, channels: int) -> None:
    config = ContextUNetConfig(channels, 8, 2, size)
    x, t, c = inputs(config, 2)
    drawn = learnt(ContextUnet(config))(x, t, c)
    assert drawn.shape == x.shape
    assert torch.isfinite(drawn).all()


def test_network_without_context_has_no_layer_for_it() -> None:
    network = learnt(ContextUnet(ContextUNetConfig(features=8, context=0)))
    assert not any("context" in name for name in network.state_dict())
    assert network(*inputs(network.config)).shape == (3, 3, 16, 16)


def test_context_and_time_change_the_output() -> None:
    network = learnt(ContextUnet(ContextUNetConfig(features=8)))
    x, t, c = inputs(network.config)
    plain = network(x, t, c)
    assert not torch.allclose(plain, network(x, t, c + 1))
    assert not torch.allclose(plain, network(x, 1 - t, c))


def test_folding_the_normalisations_changes_nothing_but_the_rounding() -> None:
    network = learnt(ContextUnet(ContextUNetConfig(features=16))).double()
    x, t, c = (each.double() for each in inputs(network.config))
    before = network(x, t, c)
    network.draw_only(torch.device("cpu"), torch.float64)
    assert "init_conv.conv1.1.running_var" not in network.state_dict()
    torch.testing.assert_close(network(x, t.float(), c), before, rtol=1e-5, atol=1e-5)


def test_half_precision_still_tells_every_time_apart() -> None:
    network = learnt(ContextUnet(ContextUNetConfig(features=8)))
    network.draw_only(torch.device("cpu"), torch.bfloat16)
    times = torch.arange(1, 501) / 500
    embedded = network.timeembed1(times).flatten(1)
    assert len(embedded.unique(dim=0)) == 500
    x, _, c = inputs(network.config, 2)
    assert network(x.bfloat16(), times[:2], c.bfloat16()).dtype == torch.bfloat16


def test_the_courses_sizes_cost_what_they_are_known_to() -> None:
    network = ContextUnet(ContextUNetConfig()).eval()
    with FlopCounterMode(display=False) as counter:
        network(*inputs(network.config, 1))
    assert counter.get_total_flops() == pytest.approx(301e6, rel=0.01)


@pytest.mark.parametrize(("size", "features"), [(0, 8), (18, 8), (16, 0), (16, 12)])
def test_sizes_that_do_not_fit_are_refused(size: int, features: int) -> None:
    with pytest.raises(ModelError, match="multiples of"):
        ContextUNetConfig(size=size, features=features)
