"""The atlas of TexturePacker's "JSON (Hash)", which PixiJS, Phaser and many others load."""

from typing import Any

from core.dataset.export.sheets import Sheet, about, place


def atlas(sheet: Sheet) -> dict[str, Any]:
    """Frames by name; the other sheets are named as PixiJS expects them."""
    related = {"related_multi_packs": list(sheet.others)} if sheet.others else {}
    return {
        "frames": {frame.name: place(frame, sheet.size) for frame in sheet.frames},
        "meta": {**about(sheet), **related},
    }
