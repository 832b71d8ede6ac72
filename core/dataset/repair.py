"""Mending a dataset in place: what is missing or damaged is made again, and nothing else.

A sprite that the index knows is rendered alone, by its seed; those that are whole are taken from
the damaged shard. All that is written has been proved: by the manifest's hash, or where another
zlib packs the same pixels otherwise, by the index's hash of every sprite.
"""

import hashlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.dataset import index, png, tar, truth
from core.dataset.assembly import compose
from core.dataset.hashes import sha256_of
from core.dataset.index import Merged
from core.dataset.layout import INDEX, MANIFEST, REQUEST, SHARD, shard_name
from core.dataset.manifest import Manifest, ShardFile, numbers
from core.dataset.record import pixels_sha256
from core.dataset.rendering import Rendering, Renders, differences, told
from core.dataset.report import Problem
from core.dataset.shard import part_of
from core.dataset.source import CHUNK, Dataset, OnProgress, read_whole
from core.errors import CorruptError, RequestError
from core.request.load import parse
from core.request.plan import RENDERER_VERSION, Plan, digest, plan
from core.storage.files import disk_errors

if TYPE_CHECKING:
    import pyarrow as pa

_SCRATCH = "the folder for temporary files"

Row = dict[str, Any]


@dataclass(slots=True)
class Repair:
    """What was done: names of files made again and removed, sprites rendered, and what is lost.

    `left_out` counts the samples that could not be rendered when the dataset was made; `retried` is
    the job that renders those again.
    """

    mended: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    rendered: int = 0
    lost: list[Problem] = field(default_factory=list)
    left_out: int = 0
    retried: str = ""


def repair(dataset: Dataset, renders: Renders, on_progress: OnProgress | None = None) -> Repair:
    """Mend a dataset. Rendering starts only if sprites must be rendered.

    What cannot be mended is told and left as it is. Raises CorruptError when neither manifest nor
    index is whole.
    """
    with (
        disk_errors(_SCRATCH),
        tempfile.TemporaryDirectory(prefix="spritemill-") as folder,
        ExitStack() as stack,
    ):
        return _Work(dataset, renders, Path(folder), stack, on_progress).run()


class _Work:
    def __init__(
        self,
        dataset: Dataset,
        renders: Renders,
        folder: Path,
        stack: ExitStack,
        on_progress: OnProgress | None,
    ) -> None:
        self._dataset = dataset
        self._renders = renders
        self._folder = folder
        self._stack = stack
        self._rendering: Rendering | None = None
        self._found = sha256_of(dataset, on_progress)
        self._truth = truth.find(dataset, self._found, folder)
        self._manifest = self._truth.manifest
        self._text, self._plan = self._request()
        self._done = Repair()

    def run(self) -> Repair:
        self._shards()
        if self._done.lost:
            return self._done
        self._files()
        named = {file.name for file in self._manifest.shards}
        for name in sorted(self._found.keys() - named):
            if SHARD.fullmatch(name):
                self._dataset.delete(name)
                self._done.removed.append(name)
        return self._done

    def _request(self) -> tuple[str, Plan]:
        """The text of the request that the manifest's digest is of, and its plan."""
        manifest, texts = self._manifest, []
        if REQUEST in self._found:
            with self._dataset.open(REQUEST) as opened:
                texts.append(opened.read().decode("utf-8", "replace"))
        if self._truth.footer:
            texts.append(self._truth.footer.request)
        for text in texts:
            try:
                made = plan(parse(text), manifest.model, max_samples=sys.maxsize)
            except RequestError:
                continue  # damaged: the next copy may be whole
            other = manifest.renderer_version != RENDERER_VERSION  # whose digests are others
            if other or digest(made, manifest.weights) == manifest.request_digest:
                return text, made
        raise CorruptError(
            f"{REQUEST} is not whole, nor is the copy in {INDEX}: nothing can be made again.",
            remedy="Fetch it from the dataset's store.",
        )

    def _shards(self) -> None:
        runs = zip(self._manifest.shards, numbers(self._manifest), strict=True)
        bad = [(shard, run) for shard, run in runs if self._found.get(shard.name) != shard.sha256]
        places = {sha256: name for name, sha256 in self._found.items()}
        moved = [shard for shard, _ in bad if shard.sha256 in places]
        for shard in moved:  # read them all first: they may lie in each other's place
            self._copy(places[shard.sha256], self._folder / shard.sha256)
        for shard in moved:
            self._put(shard.name, self._folder / shard.sha256)
        for shard, run in bad:
            if shard not in moved:
                self._mend(shard, run)

    def _mend(self, shard: ShardFile, run: Sequence[int]) -> None:
        one_by_one = self._truth.index_whole or not run
        data = self._from_sprites(shard) if one_by_one else self._whole(shard, run)
        if data is None:
            self._lose(shard)
        else:
            self._replace(shard, data)

    def _whole(self, shard: ShardFile, run: Sequence[int]) -> bytes | None:
        """The shard rendered anew, if it is the manifest's: no index tells of its sprites."""
        self._done.rendered += len(run)
        data = self._render().shard(run[0], run[-1] - run[0] + 1)
        return data if hashlib.sha256(data).hexdigest() == shard.sha256 else None

    def _from_sprites(self, shard: ShardFile) -> bytes | None:
        """The shard from the sprites that are whole and those rendered; None if they differ."""
        rows = index.shard_rows(self._folder / INDEX, shard.number) if shard.samples else []
        pictures = self._salvaged(shard, rows)
        missing = [row for row in rows if row["key"] not in pictures]
        if missing:
            self._done.rendered += len(missing)
            pixels = self._render().sprites([(row["number"], row["seed"]) for row in missing])
            for row, image in zip(missing, pixels, strict=True):
                if pixels_sha256(image) != row["sha256"]:
                    return None
                pictures[row["key"]] = png.encode(image)
        members = [
            tar.member(f"{key}.png", pictures[key])
            + tar.member(f"{key}.json", index.record(row).encode())
            for row in rows
            if (key := row["key"])
        ]
        return b"".join(members) + tar.end()

    def _salvaged(self, shard: ShardFile, rows: Sequence[Row]) -> dict[str, bytes]:
        """The PNG files of a damaged shard whose pixels are still the index's, by key."""
        if shard.name not in self._found:
            return {}
        with self._dataset.open(shard.name) as opened:
            raw = opened.read()
        wanted = {f"{row['key']}.png": row for row in rows}
        kept = {}
        for name, picture in tar.salvage(raw):
            row = wanted.get(name)
            if row and _whole(picture, row["sha256"], self._manifest.model.size):
                kept[row["key"]] = picture
        return kept

    def _replace(self, shard: ShardFile, data: bytes) -> None:
        """Put a shard's file; where zlib packs its sprites otherwise, it gets another name."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._folder / sha256
        path.write_bytes(data)
        name = shard_name(shard.number, sha256)
        self._put(name, path)
        if sha256 != shard.sha256:
            file = shard.model_copy(update={"name": name, "sha256": sha256, "size": len(data)})
            shards = [file if each == shard else each for each in self._manifest.shards]
            self._manifest = self._manifest.model_copy(update={"shards": tuple(shards)})

    def _lose(self, shard: ShardFile) -> None:
        then, here = self._manifest.numerics_of(shard.number), self._render().numerics
        parts = told(differences(then, here)) or "though the numerics class is the same"
        self._done.lost.append(
            Problem(
                "lost",
                shard.name,
                f"rendered again its sprites come out otherwise: {parts}.",
                "Repair it on a machine of the manifest's numerics class, or fetch it.",
            )
        )

    def _files(self) -> None:
        """Make request, index, preview and card again if one is not right, then the manifest."""
        wanted = {file.name: file.sha256 for file in self._manifest.files}
        kept = all(self._found.get(name) == sha256 for name, sha256 in wanted.items())
        if kept and self._truth.manifest_whole and self._manifest == self._truth.manifest:
            return
        folder = self._folder / "composed"
        folder.mkdir()
        composed = compose(self._plan, self._parts(), self._facts, folder)
        for file in composed.files:
            if file.sha256 != self._found.get(file.name):
                self._put(file.name, folder / file.name)
        data = composed.encode()
        if hashlib.sha256(data).hexdigest() != self._found.get(MANIFEST):
            (folder / MANIFEST).write_bytes(data)
            self._put(MANIFEST, folder / MANIFEST)

    def _facts(self, merged: Merged) -> Manifest:
        """The manifest without its files, proved to be of these sprites. Raises CorruptError."""
        if merged.digest.hexdigest() != self._manifest.dataset_digest:
            raise CorruptError(
                f"the shards' digest is {merged.digest.hexdigest()}, not the manifest's, though "
                "every shard is the one that it names.",
                remedy="Fetch the manifest and the index from the dataset's store.",
            )
        return self._manifest.model_copy(update={"files": ()})

    def _parts(self) -> "Iterator[tuple[ShardFile, pa.Table]]":
        for shard in self._manifest.shards:
            data = read_whole(self._dataset, shard.name, shard.sha256)
            yield shard, part_of(data, self._plan)

    def _render(self) -> Rendering:
        if self._rendering is None:
            starting = self._renders(self._text, self._manifest)
            self._rendering = self._stack.enter_context(starting)
        return self._rendering

    def _copy(self, name: str, path: Path) -> None:
        with self._dataset.open(name) as opened, path.open("wb") as copy:
            while chunk := opened.read(CHUNK):
                copy.write(chunk)

    def _put(self, name: str, path: Path) -> None:
        self._dataset.put_file(name, path)
        path.unlink()
        self._done.mended.append(name)


def _whole(picture: bytes, sha256: str, size: int) -> bool:
    try:
        return pixels_sha256(png.decode(picture, size)) == sha256
    except CorruptError:
        return False
