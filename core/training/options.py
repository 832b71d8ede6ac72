"""What a training run is asked for: plain values, checked before anything heavy is loaded."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import Fault, RequestError

Network = Literal["unet", "context-unet"]

GRAINS: dict[str, int] = {"unet": 8, "context-unet": 4}
"""Of what a sprite's width and height must be multiples, for each network."""

INTERRUPTED = 130
"""The exit code of a run that was told to stop, and has kept what it had."""

CHECKPOINT = "checkpoint.safetensors"
"""The file of a run that it goes on from."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SMALLEST, _LARGEST = 8, 256
_TIMES = 500


@dataclass(frozen=True, slots=True)
class Options:
    """All choices; 0, "" and "auto" leave one to the rest. `begin_from` is a file of weights."""

    data: str
    out: str
    name: str
    title: str = ""
    licence: str = "unknown"
    source: str = ""
    recipe: Literal["plain", "dungeon"] = "plain"
    network: Network = "unet"
    size: int = 32
    channels: Literal["auto", "1", "3", "4"] = "auto"
    classes: tuple[str, ...] = ()
    times: int = _TIMES
    minutes: float = 0.0
    images: int = 0
    batch: int = 0
    rate: float = 0.0
    mirror: bool = False
    shift: bool = False
    recolour: float = 0.0
    held_out: float = 0.02
    seed: int = 0
    resume: bool = False
    begin_from: str = ""
    look_minutes: float = 10.0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    compile: Literal["auto", "yes", "no"] = "auto"


def check(options: Options) -> None:
    """Raises RequestError with every fault."""
    if faults := list(_faults(options)):
        raise RequestError(faults)


def _faults(options: Options) -> Iterator[Fault]:
    size, grain = options.size, GRAINS[options.network]
    if size % grain or not _SMALLEST <= size <= _LARGEST:
        near = min(max(round(size / grain) * grain, _SMALLEST), _LARGEST)
        yield Fault(
            "size", str(size),
            f"the network {options.network} takes multiples of {grain}, "
            f"from {_SMALLEST} to {_LARGEST}",
            f"Give {near}: sprites are brought to it.",
        )  # fmt: skip
    if options.recipe == "dungeon" and (size, options.channels) not in ((32, "auto"), (32, "4")):
        yield Fault("recipe", "dungeon", "it has 32 pixels and 4 channels")
    yield from _idle(options)
    if not NAME.fullmatch(options.name):
        problem = "a model's name is of a-z, 0-9 and ._-, and at most 63 characters"
        yield Fault("name", options.name, problem)
    if options.resume and options.begin_from:
        yield Fault("from", options.begin_from, "a run that is resumed has its weights already")


def _idle(options: Options) -> Iterator[Fault]:
    """Choices that nothing would come of. Raises UsageError for several arrays."""
    from core.training.arrays import find  # checking other options needs no arithmetic

    if options.recipe == "dungeon":
        own = {
            "mirror": options.mirror,
            "shift": options.shift,
            "recolour": options.recolour,
            "classes": ",".join(options.classes),
        }
        for name, value in own.items():
            if value:
                yield Fault(name, str(value), "the recipe dungeon has its own", "Leave it out.")
    elif options.classes and not find(Path(options.data)):
        problem = "only arrays have classes without names"
        yield Fault("classes", ",".join(options.classes), problem, "Leave it out.")
    if options.network == "unet" and options.times != _TIMES:
        remedy = "Leave it out, or give --network context-unet."
        yield Fault("times", str(options.times), "the unet knows any noise level", remedy)
