"""Which kernels a machine draws with."""

import tempfile
from pathlib import Path

import pytest
import torch

from core.diffusion.kernels import cpu
from core.errors import ModelError
from core.settings import Settings
from workers.kernels import chosen

CPU = torch.device("cpu")


def test_they_are_used_where_they_can_be_made_unless_somebody_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {each: Settings(home=tmp_path, compile=each) for each in ("auto", "yes", "no")}
    folder = tmp_path / "cache" / "kernels"
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert chosen(asked["auto"], CPU) is None
    with pytest.raises(ModelError, match=r"no C\+\+ compiler no-such-compiler here. Install"):
        chosen(asked["yes"], CPU)
    assert not folder.exists()
    monkeypatch.delenv("CXX")
    assert chosen(asked["no"], CPU) is None
    assert not folder.exists()
    assert chosen(asked["yes"], CPU, only_ask=True) == folder
    assert not folder.exists()
    assert chosen(asked["auto"], CPU) == chosen(asked["yes"], CPU) == folder
    assert len(list(folder.iterdir())) == 1
    assert chosen(asked["auto"], torch.device("cuda")) is None  # a minute for each network


def test_kernels_that_cannot_be_loaded_are_told_or_gone_without(tmp_path: Path) -> None:
    asked = {each: Settings(home=tmp_path, compile=each) for each in ("auto", "yes")}
    made = cpu._built(asked["yes"].kernels)
    made.write_bytes(b"no library")
    assert chosen(asked["auto"], CPU) is None
    with pytest.raises(ModelError, match=rf"{made.name} cannot be loaded: .* auto or no"):
        chosen(asked["yes"], CPU)


def test_nowhere_to_try_them_is_as_no_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    asked = {each: Settings(home=tmp_path, compile=each) for each in ("auto", "yes")}
    assert chosen(asked["auto"], CPU, only_ask=True) is None
    with pytest.raises(ModelError, match=r"no kernels could be made: .*gone"):
        chosen(asked["yes"], CPU, only_ask=True)
