"""What an export is asked for, read from the words of a command line and checked."""

import re
from dataclasses import dataclass
from pathlib import Path

from core.dataset.export import naming, where
from core.errors import Fault, RequestError
from core.request.palettes import PALETTES

MOST_COLOURS = 256
MOST_SCALE = 64
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_LISTED = re.compile(r"#?([0-9a-f]{6})")
_GIMP = re.compile(r"\s*(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})(?:\s.*)?")
_SPLIT = re.compile(r"[a-z][a-z0-9_]{0,30}")
_WHOLE = 1e-6

Shares = tuple[tuple[str, float], ...]
ALL: Shares = (("train", 1.0),)


@dataclass(frozen=True, slots=True)
class Options:
    """Which sprites, under which names, with which pixels. `palette` is colours or how many.

    `background` is what takes the place of transparency where a format has none.
    """

    splits: Shares = ALL
    where: str = ""
    name: str = naming.KEY
    scale: int = 1
    palette: tuple[str, ...] | int | None = None
    background: str = "#ffffff"
    unique: bool = False

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.scale <= MOST_SCALE:
            problem = f"it must be a whole number from 1 to {MOST_SCALE}"
            faults.append(Fault("scale", str(self.scale), problem))
        if not _COLOUR.fullmatch(self.background):
            faults.append(Fault("background", self.background, "it must be a colour: #rrggbb"))
        if faults:
            raise RequestError(faults)
        naming.Pattern(self.name)
        if self.where:
            where.parse(self.where)

    @property
    def repaints(self) -> bool:
        """Whether pixels come out otherwise than they are in the dataset."""
        return self.scale > 1 or self.palette is not None


def shares(text: str) -> Shares:
    """The shares of `train=0.8,test=0.2`. Raises RequestError unless they are one whole."""
    faults, found = [], {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, share = part.partition("=")
        if not _SPLIT.fullmatch(name):
            faults.append(Fault("split", part, "a name is of a-z, 0-9 and _"))
        elif name in found:
            faults.append(Fault("split", part, "there is one of that name already"))
        else:
            found[name] = _share(share)
            if not 0 < found[name] <= 1:
                faults.append(Fault("split", part, "a share is above 0 and at most 1"))
    if not faults and abs(sum(found.values()) - 1) > _WHOLE:
        problem = f"the shares sum up to {sum(found.values()):g}, not to 1"
        faults.append(Fault("split", text, problem, "Such as: train=0.8,validation=0.1,test=0.1."))
    if faults:
        raise RequestError(faults)
    return tuple(found.items())


def colours(text: str) -> tuple[str, ...] | int:
    """The colours of a palette's name, a list of #rrggbb or a file; or a number of colours.

    A file holds a colour in each line, `rrggbb`, or is a GIMP palette. Raises RequestError.
    """
    if text in PALETTES:
        return _checked(text, [f"#{colour}" for colour in PALETTES[text].split()])
    if text.isdigit():
        if not 1 <= int(text) <= MOST_COLOURS:
            _refuse(text, f"a palette has 1 to {MOST_COLOURS} colours")
        return int(text)
    if text.startswith("#"):
        return _checked(text, [part.strip().lower() for part in text.split(",")])
    path = Path(text)
    if not path.is_file():
        known = ", ".join(PALETTES)
        _refuse(text, "it is no file, number, list of #rrggbb, or name", f"Names are {known}.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError([Fault("palette", text, f"it cannot be read: {error}")]) from error
    return _checked(text, [colour for line in lines if (colour := _of_line(line))])


def _of_line(line: str) -> str:
    """The colour in a line of a palette's file, if there is one."""
    if listed := _LISTED.fullmatch(line.strip().lower()):
        return f"#{listed[1]}"
    if gimp := _GIMP.fullmatch(line):
        parts = [int(part) for part in gimp.groups()]
        return f"#{bytes(parts).hex()}" if max(parts) <= 255 else line
    return ""


def _checked(text: str, given: list[str]) -> tuple[str, ...]:
    wrong = [colour for colour in given if not _COLOUR.fullmatch(colour)]
    if wrong:
        _refuse(text, f"{wrong[0]} is no colour", "Write #rrggbb.")
    if not 1 <= len(given) <= MOST_COLOURS:
        _refuse(text, f"it has {len(given)} colours, not 1 to {MOST_COLOURS}")
    return tuple(given)


def _refuse(text: str, problem: str, remedy: str = "") -> None:
    raise RequestError([Fault("palette", text, problem, remedy)])


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
