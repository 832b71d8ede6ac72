"""What a dataset ought to be, from whichever of its manifest and its index is whole.

The index's footer keeps the manifest without the files' hashes, and the manifest has the hash of
the index. So where only one of them was changed, it shows which.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from core.dataset import index, manifest
from core.dataset.layout import INDEX
from core.dataset.manifest import Footer, Manifest
from core.dataset.source import Source, read_manifest
from core.errors import CorruptError, NotFoundError

_LOST = "neither the manifest nor the index is whole, and only they say what the dataset must hold."


@dataclass(frozen=True, slots=True)
class Truth:
    """The manifest that a dataset must have, what its index keeps, and whether that is whole."""

    manifest: Manifest
    footer: Footer | None
    index_whole: bool
    manifest_whole: bool


def find(source: Source, found: dict[str, str], folder: Path) -> Truth:
    """Raises CorruptError when neither manifest nor index can be believed.

    `found` has the SHA-256 of the files that are there. The index is copied to `folder`.
    """
    sealed = _sealed(source)
    footer = _footer(source, folder) if INDEX in found else None
    if sealed is None:
        if footer is None:
            raise CorruptError(_LOST, remedy="Fetch one of them from the dataset's store.")
        return Truth(footer.manifest, footer, index_whole=True, manifest_whole=False)
    named = {str(file.name): file.sha256 for file in sealed.files}
    if named.get(INDEX) != found.get(INDEX):
        if footer is not None and _repacked(footer.manifest, sealed, found):
            return Truth(footer.manifest, footer, index_whole=True, manifest_whole=False)
        return Truth(sealed, None, index_whole=False, manifest_whole=True)
    if footer is None or footer.manifest == without_files(sealed):
        return Truth(sealed, footer, index_whole=True, manifest_whole=True)
    return Truth(footer.manifest, footer, index_whole=True, manifest_whole=False)


def _repacked(newer: Manifest, older: Manifest, found: dict[str, str]) -> bool:
    """Whether an index is of the same sprites in other shards, which are there: a repair was
    interrupted before it wrote the manifest.
    """
    other = [shard for shard in newer.shards if shard not in older.shards]
    return (
        newer.dataset_digest == older.dataset_digest
        and bool(other)
        and all(found.get(shard.name) == shard.sha256 for shard in other)
    )


def without_files(whole: Manifest) -> Manifest:
    """The manifest as the index keeps it."""
    return whole.model_copy(update={"files": ()}).sealed()


def _sealed(source: Source) -> Manifest | None:
    try:
        return read_manifest(source)
    except (NotFoundError, CorruptError):
        return None  # the caller asks for that: what is damaged is to be mended


def _footer(source: Source, folder: Path) -> Footer | None:
    with source.open(INDEX) as opened, (folder / INDEX).open("wb") as copy:
        copy.write(opened.read())
    try:
        return footer(folder / INDEX)
    except CorruptError:
        return None  # as above


def footer(path: Path) -> Footer | None:
    """What an index keeps beside its rows; None when that is not whole. Raises CorruptError."""
    text = index.about(path)
    try:
        held = Footer.model_validate_json(text)
    except ValidationError:
        return None
    return held if manifest.sound(json.dumps(json.loads(text)["manifest"]).encode()) else None
