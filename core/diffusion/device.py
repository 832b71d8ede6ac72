"""The device that renders, and the facts of it that decide the pixels."""

import ctypes
import os
import platform
from importlib.metadata import version
from typing import Any

import torch
from torch.utils import deterministic

from core.request.plan import RENDERER_VERSION

_CPU_TILE = 32
_CUDA_TILE = 128
_FUSED = 2  # raised when the kernels for CPUs change a bit
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_KEPT, _MOST_KEPT = 1 << 28, 1 << 30  # bytes


def pick_device() -> torch.device:
    """The GPU if there is one, else the CPU; set so that the same work gives the same bits."""
    if not torch.cuda.is_available():
        _keep_memory()
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at cuBLAS's first call
    torch.use_deterministic_algorithms(True)
    # Nothing here reads what was not written, so that filling new memory would gain nothing.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # not in its stub
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda", torch.cuda.current_device())


def compute_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware has it: emulated, it is a hundred times slower than float32."""
    if device.type == "cuda":
        return torch.bfloat16
    return torch.bfloat16 if _cpu().get("avx512_bf16") else torch.float32


def tile_size(device: torch.device) -> int:
    """How many sprites are sampled together at most."""
    if device.type == "cuda":
        return _CUDA_TILE
    return 4 * _CPU_TILE if _counts_alike(device) else _CPU_TILE


def padded_size(device: torch.device, sprites: int) -> int:
    """How many are sampled where so many are asked for, at most a tile: mostly that."""
    if _counts_alike(device):
        return -(-sprites // _CPU_TILE) * _CPU_TILE
    return tile_size(device)


def _counts_alike(device: torch.device) -> bool:
    """Whether the bits of one sprite are the same in tiles of 32, 64, 96 and 128.

    They are of a CPU's bfloat16 (measured on AVX512-BF16, with AMX and without). In float32 they
    are not on every CPU, and of a GPU nobody promises it.
    """
    return device.type == "cpu" and compute_dtype(device) == torch.bfloat16


def numerics(
    device: torch.device, dtype: torch.dtype, tile: int, kernels: str = ""
) -> dict[str, Any]:
    """What the pixels depend on beside the request and the weights; equal facts, equal bytes."""
    found = {
        "device": _name(device),
        "dtype": str(dtype).removeprefix("torch."),
        "torch": torch.__version__,
        "tile": tile,
        "renderer": RENDERER_VERSION,
    }
    return found | {"kernels": kernels} if kernels else found


def facts(*, compiled: bool) -> dict[str, Any]:
    """The numerics of the device that this process would render on, with kernels `compiled` here
    or with torch's own.
    """
    device = pick_device()
    kernels = _compiled(device) if compiled else ""
    return numerics(device, compute_dtype(device), tile_size(device), kernels)


def memory(device: torch.device) -> int:
    """Bytes of memory that a GPU has; 0 for a CPU, which has none of its own."""
    if device.type != "cuda":
        return 0
    return int(torch.cuda.get_device_properties(device).total_memory)


def _keep_memory() -> None:
    """Have the C library keep what tensors leave for the next ones, where it is glibc.

    It gives large blocks back to the system at once, which clears each page that it lends again:
    up to a tenth of a step.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        library.mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)


def _compiled(device: torch.device) -> str:
    """What the pixels depend on of compiled kernels: of a CPU's, not on the compiler."""
    return f"triton {version('triton')}" if device.type == "cuda" else f"fused {_FUSED}"


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    # Maths libraries choose kernels by the vendor too.
    vendor = str(_cpu().get("cpu_name", "")).split(" ")[0] or "unknown"
    capability = torch.backends.cpu.get_cpu_capability()
    matrices = " AMX" if _cpu().get("amx_bf16") else ""  # their sums come in another order
    return f"{platform.machine()} {vendor} {capability}{matrices}"


def _cpu() -> dict[str, Any]:
    return dict(torch.cpu.get_capabilities())
