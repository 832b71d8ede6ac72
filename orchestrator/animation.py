"""Filming the denoising, in a process of its own, as torch must not be loaded here."""

import json
import os
import subprocess
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Literal

from core import processes
from core.errors import SpritemillError, UsageError
from core.request.load import canonical
from core.request.plan import Plan
from core.settings import Settings, as_environment


@dataclass(frozen=True, slots=True)
class Film:
    """At most `sprites` of them in so many `columns`, after each of `frames` steps."""

    sprites: int
    frames: tuple[int, ...]
    show: Literal["noisy", "guess"]
    kind: Literal["gif", "webp"]
    scale: int
    columns: int


def frames(asked: str, steps: int) -> tuple[int, ...]:
    """The steps after which frames are taken: 0 is the noise, `steps` the sprite.

    `asked` is how many frames, evenly spread, or the steps themselves: `12`, or `0,5,10,12`.
    Raises UsageError.
    """
    try:
        numbers = tuple(int(word) for word in asked.split(","))
    except ValueError:
        raise UsageError(f"frames = {asked}: whole numbers are needed, as 12 or 0,5,10.") from None
    if len(numbers) == 1:
        if numbers[0] < 2:
            raise UsageError(f"frames = {asked}: an animation has at least 2.")
        last = min(numbers[0], steps + 1) - 1
        return tuple((2 * place * steps + last) // (2 * last) for place in range(last + 1))
    if wrong := [number for number in numbers if not 0 <= number <= steps]:
        raise UsageError(
            f"frames = {asked}: {wrong[0]} is no step of {steps}.",
            remedy=f"Give numbers from 0, the noise, to {steps}, the sprite.",
        )
    return numbers


def animate(plan: Plan, weights: str, settings: Settings, film: Film) -> bytes:
    """The file of the animation. Raises UsageError without torch, SpritemillError."""
    if find_spec("torch") is None:
        raise UsageError(
            "torch is not installed, and drawing sprites needs it.",
            remedy="pip install 'spritemill[worker]'",
        )
    asked = subprocess.run(
        processes.python("workers.commands.animate", weights),
        input=json.dumps({"request": canonical(plan.request), **asdict(film)}).encode(),
        env={**os.environ, **as_environment(settings)},
        check=False,
        capture_output=True,
    )
    if asked.returncode:
        last = asked.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise SpritemillError(f"the animation failed: {last}", remedy="See `spritemill doctor`.")
    return asked.stdout
