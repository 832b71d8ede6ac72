"""Noise belongs to its sample."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.diffusion import philox
from core.diffusion.kernels import cpu
from core.diffusion.noise import SampleNoise, muted
from core.diffusion.philox import OnCpu, OnDevice
from core.request.plan import noise_key

SHAPE = (4, 8, 8)
KEYS = [noise_key(0, "context", index) for index in range(64)]


def test_noise_does_not_depend_on_what_is_beside_it() -> None:
    together = SampleNoise(KEYS, SHAPE)
    alone = SampleNoise(KEYS[5:6], SHAPE)
    backwards = SampleNoise(KEYS[::-1], SHAPE)
    assert torch.equal(together.initial()[5], alone.initial()[0])
    assert torch.equal(together.step(3)[5], alone.step(3)[0])
    assert torch.equal(together.step(3), backwards.step(3).flip(0))


def test_noise_is_the_same_whenever_it_is_asked_for() -> None:
    one, other = SampleNoise(KEYS, SHAPE), SampleNoise(KEYS, SHAPE)
    for step in (7, 0, 7):
        assert torch.equal(one.step(step), other.step(step))


def test_every_step_and_sample_has_other_noise() -> None:
    noise = SampleNoise(KEYS[:4], SHAPE)
    draws = torch.cat([noise.initial(), noise.step(0), noise.step(1)]).flatten(1)
    correlation = torch.corrcoef(draws).fill_diagonal_(0)
    assert float(correlation.abs().max()) < 0.3


def test_noise_is_standard_normal() -> None:
    values = SampleNoise(KEYS, (4, 32, 32)).initial().double().flatten()
    assert float(values.mean()) == pytest.approx(0, abs=0.01)
    assert float(values.std()) == pytest.approx(1, abs=0.01)
    tail = float((values.abs() > 1.959964).double().mean())
    assert tail == pytest.approx(0.05, abs=0.003)


def test_muted_noise_keeps_its_grey_and_its_alpha() -> None:
    plain, muted_noise = (SampleNoise(KEYS, (4, 8, 8), chroma).initial() for chroma in (1.0, 0.25))
    grey = plain[:, :3].mean(dim=1, keepdim=True)
    torch.testing.assert_close(muted_noise[:, :3].mean(dim=1, keepdim=True), grey)
    torch.testing.assert_close(muted_noise[:, :3] - grey, 0.25 * (plain[:, :3] - grey))
    assert torch.equal(muted_noise[:, 3:], plain[:, 3:])
    torch.testing.assert_close(muted(muted_noise, 4.0), plain)


def test_one_channel_has_no_hue_to_mute() -> None:
    assert torch.equal(*(SampleNoise(KEYS, (1, 8, 8), chroma).initial() for chroma in (1.0, 0.5)))


@pytest.mark.parametrize("size", [1, 5, 32])
def test_compiled_kernel_draws_the_bits_of_numpys_philox(tmp_path: Path, size: int) -> None:
    kernel = cpu.load(tmp_path).philox
    ours = SampleNoise(KEYS, (3, size, size), philox=kernel)
    numpys = SampleNoise(KEYS, (3, size, size))
    assert torch.equal(ours.initial(), numpys.initial())
    for step in (0, 2**31, 3):
        assert torch.equal(ours.step(step), numpys.step(step))
    fresh = np.random.Philox(key=int.from_bytes(KEYS[7], "little"), counter=9 << 128)
    drawn = kernel(np.frombuffer(KEYS[7], dtype="<u8").reshape(1, 2), 9, 11)
    assert np.array_equal(drawn[0], fresh.random_raw(11))


@pytest.mark.parametrize("count", [1, 6, 48])
@given(key=st.binary(min_size=16, max_size=16), block=st.integers(0, 2**62))
def test_a_device_draws_the_bits_of_numpys_philox(key: bytes, block: int, count: int) -> None:
    keys = np.frombuffer(key + KEYS[0], dtype="<u8").reshape(2, 2)
    ours, numpys = OnDevice(keys, torch.device("cpu")), OnCpu(keys, None)
    for asked in (block, block + 1, 0, block + 5):
        assert torch.equal(ours(asked, count), numpys(asked, count))


def test_a_device_draws_ahead_as_many_blocks_as_memory_is_meant_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(philox, "_MOST_NUMBERS", 3 * 64 * 12)
    keys = np.frombuffer(b"".join(KEYS), dtype="<u8").reshape(64, 2)
    ours, numpys = OnDevice(keys, torch.device("cpu")), OnCpu(keys, None)
    drawn = []
    for block in range(6):
        assert torch.equal(ours(block, 12), numpys(block, 12))
        drawn.append(ours._blocks)
    assert drawn == [range(1), *[range(1, 4)] * 3, *[range(4, 7)] * 2]


def test_an_odd_number_of_values_is_filled() -> None:
    assert SampleNoise(KEYS[:2], (3, 1, 1)).initial().shape == (2, 3, 1, 1)


def test_noise_never_changes_between_releases() -> None:
    values = SampleNoise([bytes(range(16))], (2, 2, 2)).step(1).numpy()
    rounded = np.round(values.astype(np.float64), 4).tobytes()
    assert hashlib.sha256(rounded).hexdigest()[:16] == "2abd8e77131bfc2b"
