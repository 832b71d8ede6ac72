"""The atlas of Aseprite's sprite sheet export, its frames as an array or by name.

The frames of one context are a tag: engines make an animation of each.
"""

from itertools import groupby
from typing import Any

from core.dataset.export.sheets import Sheet, about, place

_MILLISECONDS = 100  # what Aseprite gives a new frame


def array(sheet: Sheet) -> dict[str, Any]:
    """Frames in order, each with its file's name."""
    frames = [{"filename": name, **frame} for name, frame in _frames(sheet).items()]
    return {"frames": frames, "meta": _about(sheet)}


def by_name(sheet: Sheet) -> dict[str, Any]:
    """Frames by their files' names."""
    return {"frames": _frames(sheet), "meta": _about(sheet)}


def _frames(sheet: Sheet) -> dict[str, dict[str, Any]]:
    return {
        frame.name: {**place(frame, sheet.size), "duration": _MILLISECONDS}
        for frame in sheet.frames
    }


def _about(sheet: Sheet) -> dict[str, Any]:
    tags, start = [], 0
    for context, run in groupby(sheet.frames, key=lambda frame: frame.context):
        end = start + sum(1 for _ in run) - 1
        tags.append({"name": context, "from": start, "to": end, "direction": "forward"})
        start = end + 1
    return {**about(sheet), "frameTags": tags, "layers": [], "slices": []}
