"""The dataset as plain folders of PNG files, one for each context, for tools that want that."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.dataset.manifest import Manifest
from core.dataset.reader import pictures
from core.dataset.source import Source, read_manifest
from core.errors import ConflictError
from core.storage.files import disk_errors

MARKER = ".spritemill.json"
TABLE = "metadata.csv"
_COLUMNS = ("file_name", "key", "caption", "class", "context", "index", "seed", "sha256")


def write_folders(
    source: Source, out: Path, on_progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write `<context>/<context>-<index>.png` for each sprite and `metadata.csv`, which has its key
    in the dataset; once more is no harm.

    Contexts whose names are written alike are told apart by their hash, all but the first.
    `on_progress` is called with the sprites done and all sprites. Raises ConflictError when
    `out` holds anything else, CorruptError for a damaged dataset.
    """
    manifest = read_manifest(source)
    with disk_errors(str(out)):
        _claim(out, manifest)
        with (out / TABLE).open("w", encoding="utf-8", newline="") as opened:
            table = csv.writer(opened)
            table.writerow(_COLUMNS)
            first: dict[str, str] = {}
            for done, (record, picture) in enumerate(pictures(source, manifest), start=1):
                folder = _short(record.folder, first)
                (out / folder).mkdir(exist_ok=True)
                name = f"{folder}/{folder}-{record.index:06d}.png"
                (out / name).write_bytes(picture)
                table.writerow(
                    (name, record.key, record.caption, record.class_name, record.context_label,
                     record.index, record.seed, record.sha256)
                )  # fmt: skip
                if on_progress:
                    on_progress(done, manifest.samples)
    return out


def _short(folder: str, first: dict[str, str]) -> str:
    """A context's folder without its hash, unless the `first` of that name is another's."""
    name = folder.rpartition("-")[0]
    return name if first.setdefault(name, folder) == folder else folder


def refuse_another(out: Path, request_digest: str) -> None:
    """Raises ConflictError when the sprites in `out` are known to be another request's."""
    if _marked(out).get("request_digest", request_digest) != request_digest:
        raise ConflictError(
            f"out = {out}: the sprites of another request are there.", remedy="Name a new folder."
        )


def _claim(out: Path, manifest: Manifest) -> None:
    """Make `out` the place of this dataset's sprites, and of nothing else."""
    digest = manifest.dataset_digest
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()) and _marked(out).get("dataset_digest") != digest:
        raise ConflictError(f"out = {out}: the folder is not empty.", remedy="Name a new folder.")
    marked = {"dataset_digest": digest, "request_digest": manifest.request_digest}
    (out / MARKER).write_text(json.dumps(marked) + "\n", encoding="utf-8")


def _marked(out: Path) -> dict[str, Any]:
    """What the marker in a folder says, if there is a sound one."""
    try:
        read = json.loads((out / MARKER).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
