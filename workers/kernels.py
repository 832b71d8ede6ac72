"""Whether this machine draws with kernels that are compiled here, or with torch's own."""

from pathlib import Path

import torch

from core.diffusion.kernels import cpu
from core.errors import ModelError
from core.settings import Settings


def chosen(settings: Settings, device: torch.device, *, only_ask: bool = False) -> Path | None:
    """The folder of the kernels that a device draws with; None for torch's own.

    A CPU's are made now if they are not there, and kept unless somebody does `only_ask`: who may go
    without them hears of no failure. Raises ModelError where they are asked for.
    """
    if settings.compile == "no" or (device.type == "cuda" and settings.compile == "auto"):
        return None
    if device.type == "cpu":
        try:
            (cpu.prove if only_ask else cpu.load)(settings.kernels)
        except ModelError:
            if settings.compile == "auto":
                return None
            raise
    return settings.kernels
