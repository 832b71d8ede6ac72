"""The file that tells which export a folder holds, so that it can go on and none is mixed."""

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from core.dataset.export.options import Options
from core.dataset.manifest import Manifest
from core.errors import ConflictError, NotFoundError
from core.storage import Store

MARKER = "export.json"


def _marker(name: str, manifest: Manifest, options: Options) -> bytes:
    about = {
        "spritemill": version("spritemill"),
        "format": name,
        "dataset": manifest.name,
        "dataset_digest": manifest.dataset_digest,
        "options": {**asdict(options), "splits": dict(options.splits)},
    }
    return json.dumps(about, indent=1).encode() + b"\n"


def refuse_others(out: Store, place: str, name: str, manifest: Manifest, options: Options) -> None:
    """Raises ConflictError when `out` holds anything but this export, in whole or in part."""
    try:
        found = out.get(MARKER)
    except NotFoundError:
        first = next(out.list(""), None)
        other = first.key if first else _stranger(place)
        if other is None:
            return
        raise ConflictError(
            f"out = {place}: it holds {other}, which is no part of an export.",
            remedy="Name a new folder.",
        ) from None
    if found != _marker(name, manifest, options):
        raise ConflictError(
            f"out = {place}: it holds an export of another dataset, format, version or options.",
            remedy=f"Name a new folder; {MARKER} tells what is there.",
        )


def _stranger(place: str) -> str | None:
    """What lies in a folder under a name that no store gives; hidden files are their owner's."""
    folder = Path(place)
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else iter(())
    return next((name for name in sorted(names) if not name.startswith(".")), None)


def put(out: Store, name: str, manifest: Manifest, options: Options) -> None:
    """Make `out` the place of this export."""
    out.put(MARKER, _marker(name, manifest, options), content_type="application/json")
