"""The name of a numerics class."""

import re

import pytest

from core.errors import SpritemillError
from core.settings import Settings
from workers import numerics


def test_name_depends_on_the_facts_and_not_on_their_order() -> None:
    one = numerics.name({"device": "cpu", "dtype": "float32"})
    assert one == numerics.name({"dtype": "float32", "device": "cpu"})
    assert one != numerics.name({"dtype": "bfloat16", "device": "cpu"})
    assert re.fullmatch(r"[0-9a-f]{12}", one)


def test_fake_renderer_is_a_class_of_its_own() -> None:
    facts, memory = numerics.probe(Settings(renderer="fake"))
    assert facts == {"renderer": "fake"}
    assert memory > 0


def test_driver_that_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics, "_SECONDS", 0.001)
    with pytest.raises(SpritemillError, match="nvidia-smi"):
        numerics.probe(Settings())


def test_compiled_kernels_are_of_a_class_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEMILL_COMPILE", "no")
    plain, _ = numerics.probe(Settings())
    monkeypatch.setenv("SPRITEMILL_COMPILE", "yes")
    compiled, _ = numerics.probe(Settings())
    assert set(compiled) - set(plain) == {"kernels"}


def test_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEMILL_COMPILE", "yes")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(SpritemillError, match="no-such-compiler") as told:
        numerics.probe(Settings())
    assert "pip install" not in str(told.value)
