"""Our own kernels for CPUs: compiled by the machine's C++ compiler in seconds, called by ctypes.

Their numbers depend neither on the compiler nor on the CPU: `normalise.cpp` says why.
"""

import ctypes
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import ModelError

Activation = Literal["none", "relu", "silu"]
Normalise = Callable[[Tensor, Tensor, Tensor, int, float, Activation, Tensor | None], Tensor]
Words = NDArray[np.uint64]
Philox = Callable[[Words, int, int], Words]
Join = Callable[[Tensor, Tensor, int], Tensor]
Fold = Callable[[Tensor, int], Tensor]


class Kernels(NamedTuple):
    """`normalise` is group normalisation that scales, shifts and activates too; `join`, `fold` and
    `unfold` only move numbers; `philox` draws for each of the keys [B, 2], in a block of its own,
    so many numbers [B, N].
    """

    normalise: Normalise
    join: Join
    fold: Fold
    unfold: Fold
    philox: Philox


_SOURCES = [
    Path(__file__).with_name(f"{name}.cpp") for name in ("normalise", "layout", "philox")
]  # fmt: skip
_FLAGS = [
    "-std=c++17", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC",
    # Numbers stay what IEEE 754 has them; what is given up are traps and errno, for vectors.
    "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
]  # fmt: skip
_X86 = ["-mprefer-vector-width=512"]  # compilers stop at 256 by themselves
_REMEDY = "With `compile` at auto or no, torch's own are used."
_ACTIVATIONS: dict[Activation, int] = {"none": 0, "relu": 1, "silu": 2}
_POINTER, _LONG = ctypes.c_void_p, ctypes.c_long
_NORMALISES: list[Any] = [*[_POINTER] * 5, *[_LONG] * 5, ctypes.c_float, ctypes.c_int]
_JOINS: list[Any] = [*[_POINTER] * 3, *[_LONG] * 6]
_FOLDS: list[Any] = [*[_POINTER] * 2, *[_LONG] * 5]
_DRAWS: list[Any] = [_POINTER, ctypes.c_uint64, _LONG, _LONG, _POINTER]


def load(kept: Path) -> Kernels:
    """The kernels from the folder `kept`, compiled into it if they are not there.

    Raises ModelError.
    """
    path = _built(kept)
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:  # as where the folder's files may not be run
        raise ModelError(
            f"the kernels in {path} cannot be loaded: {error}.", remedy=_REMEDY
        ) from error
    return Kernels(
        _normalise(library), _join(library), _fold(library), _unfold(library), _philox(library)
    )


def prove(kept: Path) -> None:
    """Load the kernels, or compile elsewhere what is not in `kept`: nothing is left behind.

    Raises ModelError.
    """
    if _planned(kept)[1].exists():
        load(kept)
        return
    try:
        with tempfile.TemporaryDirectory() as folder:
            load(Path(folder))
    except OSError as error:  # as where nothing temporary may be written
        raise ModelError(f"no kernels could be made: {error}.", remedy=_REMEDY) from error


def _philox(library: ctypes.CDLL) -> Philox:
    called = library.philox
    called.argtypes, called.restype = _DRAWS, None

    def philox(keys: Words, block: int, count: int) -> Words:
        keys = np.ascontiguousarray(keys)
        numbers = np.empty((len(keys), count), dtype=np.uint64)
        called(keys.ctypes.data, block, len(keys), count, numbers.ctypes.data)
        return numbers

    return philox


def _normalise(library: ctypes.CDLL) -> Normalise:
    called = {
        torch.float32: library.normalise_float32,
        torch.bfloat16: library.normalise_bfloat16,
    }
    for each in called.values():
        each.argtypes, each.restype = _NORMALISES, None

    def normalise(
        x: Tensor, weight: Tensor, bias: Tensor, groups: int, epsilon: float,
        activation: Activation, film: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """`x` [B, C, H, W] normalised; times 1 + scale, plus shift, of `film` [B, 2 C] if given."""
        x = x.contiguous(memory_format=torch.channels_last)
        y = torch.empty_like(x)
        if film is not None and film.stride(1) != 1:
            film = film.contiguous()
        assert all(each is None or each.dtype == x.dtype for each in (weight, bias, film))
        samples, channels, height, width = x.shape
        assert channels > 1
        called[x.dtype](
            x.data_ptr(), y.data_ptr(), weight.data_ptr(), bias.data_ptr(),
            film.data_ptr() if film is not None else None,
            film.stride(0) if film is not None else 0,
            samples, height * width, channels, groups, epsilon, _ACTIVATIONS[activation],
        )  # fmt: skip
        return y

    return normalise


def _join(library: ctypes.CDLL) -> Join:
    called = library.join
    called.argtypes, called.restype = _JOINS, None

    def join(x: Tensor, beside: Tensor, factor: int) -> Tensor:
        """Each pixel of `x` [B, C, H, W] `factor` x `factor` times, then the channels `beside`."""
        x, beside = (y.contiguous(memory_format=torch.channels_last) for y in (x, beside))
        samples, channels, height, width = x.shape
        others, tall, wide = beside.shape[1:]
        assert x.dtype == beside.dtype
        assert beside.shape == (samples, others, height * factor, width * factor)
        y = _empty(x, samples, channels + others, tall, wide)
        called(
            x.data_ptr(), beside.data_ptr(), y.data_ptr(), samples, height, width, factor,
            channels * x.itemsize, others * x.itemsize,
        )  # fmt: skip
        return y

    return join


def _fold(library: ctypes.CDLL) -> Fold:
    called = _by_size(library.fold_2, library.fold_4)

    def fold(x: Tensor, factor: int) -> Tensor:
        """Squares of pixels of `x` [B, C, H, W] as channels [B, C factor^2, H / factor, ...]."""
        x = x.contiguous()
        samples, channels, height, width = x.shape
        assert height % factor == width % factor == 0
        y = _empty(x, samples, channels * factor**2, height // factor, width // factor)
        called[x.itemsize](x.data_ptr(), y.data_ptr(), *x.shape, factor)
        return y

    return fold


def _unfold(library: ctypes.CDLL) -> Fold:
    called = _by_size(library.unfold_2, library.unfold_4)

    def unfold(x: Tensor, factor: int) -> Tensor:
        """What `fold` was given, from what it answered."""
        x = x.contiguous(memory_format=torch.channels_last)
        samples, channels, height, width = x.shape
        shape = samples, channels // factor**2, height * factor, width * factor
        y = torch.empty(shape, dtype=x.dtype)
        called[x.itemsize](x.data_ptr(), y.data_ptr(), *shape, factor)
        return y

    return unfold


def _by_size(of_2: Any, of_4: Any) -> dict[int, Any]:
    """Functions of the library, by the bytes of a number."""
    for each in (of_2, of_4):
        each.argtypes, each.restype = _FOLDS, None
    return {2: of_2, 4: of_4}


def _empty(like: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, memory_format=torch.channels_last)


def _planned(kept: Path) -> tuple[list[str], Path]:
    """How to compile, and the library for this machine: CPUs that differ may share a home."""
    machine = platform.machine()
    flags = _FLAGS + (_X86 if machine in ("x86_64", "AMD64") else [])
    command = [os.environ.get("CXX", "g++"), *flags]
    identity = json.dumps([command, torch.cpu.get_capabilities()], sort_keys=True, default=str)
    source = b"".join(each.read_bytes() for each in _SOURCES)
    name = hashlib.sha256(identity.encode() + source).hexdigest()[:16]
    return command, kept / f"kernels-{name}.so"


def _built(kept: Path) -> Path:
    command, library = _planned(kept)
    if not library.exists() or library.stat().st_uid != os.getuid():  # others' code is not run
        _compile(command, library)
    return library


def _compile(command: list[str], library: Path) -> None:
    """Two workers may do so at once: whoever is last replaces the same file."""
    if shutil.which(command[0]) is None:
        raise ModelError(
            f"there is no C++ compiler {command[0]} here.",
            remedy=f"Install g++. {_REMEDY}",
        )
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            made = Path(folder) / library.name
            subprocess.run(
                [*command, *map(str, _SOURCES), "-o", str(made)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            made.replace(library)
    except (OSError, subprocess.CalledProcessError) as error:
        told = (getattr(error, "stderr", None) or str(error)).strip().partition("\n")[0]
        raise ModelError(
            f"no kernels could be made: {told}",
            remedy=_REMEDY,
        ) from error
