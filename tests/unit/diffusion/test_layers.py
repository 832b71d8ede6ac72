"""However a layer draws, it draws what its formula says."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from core.diffusion.kernels import cpu
from core.diffusion.kernels.cpu import Activation, Kernels
from core.diffusion.layers import (
    Convolution,
    Folded,
    Joined,
    Normalisation,
    Remembered,
    fuse,
    pack,
)

DTYPES = [torch.float32, torch.bfloat16]
SPREAD = {torch.float32: 1e-4, torch.bfloat16: 0.01}  # of what is asked, and of 1


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return cpu.load(tmp_path_factory.mktemp("kernels"))


def images(channels: int, dtype: torch.dtype, size: int = 8) -> Tensor:
    made = torch.randn(5, channels, size, size, generator=torch.Generator().manual_seed(2)) * 3 + 1
    return made.to(dtype, memory_format=torch.channels_last)


@pytest.fixture(params=DTYPES, ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    found: torch.dtype = request.param
    return found


def convolution(dtype: torch.dtype, size: int = 3, stride: int = 1) -> Convolution:
    torch.manual_seed(0)
    layer = Convolution(24, 16, size, stride, size // 2).to(dtype).requires_grad_(False)
    return layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (1, 1)])
def test_packed_weights_change_no_bit(dtype: torch.dtype, size: int, stride: int) -> None:
    layer, x = convolution(dtype, size, stride), images(24, dtype)
    y = layer(x)
    added = layer(x, y)
    pack(layer)
    assert torch.equal(layer(x), y)
    assert torch.equal(layer(x, y), added)
    assert layer.packed is not None
    assert torch.equal(layer(x[1:3]), y[1:3])


def test_packed_weights_are_in_no_file(dtype: torch.dtype) -> None:
    layer = convolution(dtype)
    pack(layer)
    layer(images(24, dtype))
    assert set(layer.state_dict()) == {"weight", "bias"}


def test_what_onednn_does_not_know_is_not_packed() -> None:
    layer, x = convolution(torch.float64), images(24, torch.float64)
    pack(layer)
    assert torch.equal(layer(x), functional.conv2d(x, layer.weight, layer.bias, padding=1))


@pytest.mark.parametrize("gelu", [False, True])
def test_fused_convolution_adds_and_activates(
    dtype: torch.dtype, gelu: bool, kernels: Kernels
) -> None:
    layer, x = convolution(dtype), images(24, dtype)
    exact = functional.conv2d(
        x.double(), layer.weight.double(), layer.bias.double(), padding=1  # type: ignore[union-attr]
    )  # fmt: skip
    pack(layer)
    fuse(layer, kernels)
    layer.gelu = gelu
    if gelu:
        close(layer(x), functional.gelu(exact))
    else:
        plus = images(16, dtype)
        before = plus.clone()
        close(layer(x, plus), exact + plus)
        assert torch.equal(plus, before)


@pytest.mark.parametrize("channels", [32, 48, 24, 9, 3])
@pytest.mark.parametrize("activation", ["none", "relu", "silu"])
@pytest.mark.parametrize("filmed", [False, True])
def test_normalisation_is_its_formula(
    dtype: torch.dtype, channels: int, activation: Activation, filmed: bool, kernels: Kernels
) -> None:
    layer = Normalisation(3 if channels % 8 else channels // 8, channels, activation).to(dtype)
    torch.manual_seed(1)
    for learnt in (layer.weight, layer.bias):
        torch.nn.init.normal_(learnt)
    x, film = images(channels, dtype), torch.randn(5, 4 * channels).to(dtype)[:, channels:-channels]
    exact = functional.group_norm(
        x.double(), layer.num_groups, layer.weight.double(), layer.bias.double()
    )
    if filmed:
        scale, shift = film.double()[:, :, None, None].chunk(2, dim=1)
        exact = exact * (1 + scale) + shift
    if activation != "none":
        exact = getattr(functional, activation)(exact)
    given = (film,) if filmed else ()
    with torch.inference_mode():
        plain = layer(x, *given)
        fuse(layer, kernels)
        fused = layer(x, *given)
    close(fused, exact)
    if dtype == torch.bfloat16:  # rounded once, where torch rounds after each step
        assert (fused - exact).abs().mean() <= (plain - exact).abs().mean() * 1.01
    assert fused.is_contiguous(memory_format=torch.channels_last)


def test_silu_holds_for_numbers_of_any_size(dtype: torch.dtype, kernels: Kernels) -> None:
    wide = torch.tensor([0.0, 1e-30, -1e-30, 5, -5, 60, -60, 1e4, -1e4, 1e38, -1e38, 3e38])
    x = torch.zeros(1, 12, 1, 2).to(dtype)  # of no variance: what comes out is what is added
    film = torch.cat([torch.zeros(12), wide])[None].to(dtype)
    ones, zeros = torch.ones(12).to(dtype), torch.zeros(12).to(dtype)
    y = kernels.normalise(x, ones, zeros, 1, 1e-5, "silu", film)[0, :, 0, 0]
    close(y, functional.silu(film[0, 12:].double()))


def test_numbers_depend_on_neither_compiler_nor_threads(
    dtype: torch.dtype, kernels: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, film = images(96, dtype, 16), torch.randn(5, 192).to(dtype)
    weight, bias = torch.randn(96).to(dtype), torch.randn(96).to(dtype)

    def drawn(by: Kernels) -> Tensor:
        return by.normalise(x, weight, bias, 6, 1e-5, "silu", film)

    y = drawn(kernels)
    torch.set_num_threads(2)
    assert torch.equal(drawn(kernels), y)
    monkeypatch.setattr(cpu, "_FLAGS", ["-O1" if f == "-O3" else f for f in cpu._FLAGS])
    monkeypatch.setattr(cpu, "_X86", ["-mprefer-vector-width=128"])
    assert torch.equal(drawn(cpu.load(tmp_path)), y)
    assert list(tmp_path.glob("*.so"))


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_joined_images_are_the_same_by_any_kernel(
    dtype: torch.dtype, factor: int, kernels: Kernels
) -> None:
    layer, x = Joined(factor), images(24, dtype, 4)
    beside = images(9, dtype, 4 * factor)
    y = layer(x, beside)
    fuse(layer, kernels)
    assert torch.equal(layer(x, beside), y)
    assert torch.equal(layer(x.contiguous(), beside.contiguous()), y)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_folded_images_are_the_same_by_any_kernel(
    dtype: torch.dtype, factor: int, kernels: Kernels
) -> None:
    layer, x = Folded(factor), images(3, dtype)[:, :, :4]
    y = layer(x)
    assert torch.equal(layer.back(y), x)
    fuse(layer, kernels)
    assert torch.equal(layer(x), y)
    assert torch.equal(layer.back(y), x)


def close(found: Tensor, exact: Tensor) -> None:
    spread = SPREAD[found.dtype]
    assert torch.allclose(found.double(), exact.double(), rtol=spread, atol=spread)


def test_the_last_things_asked_are_embedded_once() -> None:
    embedded = []

    def embed(x: Tensor) -> Tensor:
        embedded.append(float(x[0]))
        return 2 * x

    remembered = Remembered(embed, most=2)
    for level in (1.0, 2.0, 1.0, 3.0, 1.0, 2.0):
        assert remembered(torch.full((3,), level)).tolist() == [2 * level] * 3
    assert embedded == [1.0, 2.0, 3.0, 2.0]  # when 3 came, 2 had not been asked for longest
