import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from core.dataset import assembly, index
from core.dataset.layout import CARD, INDEX, MANIFEST, PREVIEW, REQUEST, dataset_prefix, work_prefix
from core.dataset.manifest import Quarantined, ShardFile, decode
from core.dataset.source import FolderSource
from core.dataset.verify import verify
from core.errors import ConflictError, CorruptError
from core.request.load import load
from core.request.plan import RENDERER_VERSION, digest, plan
from tests.unit.dataset.bench import SPEC, WEIGHTS, Bench


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_manifest_names_every_file_with_its_hash(dataset: Bench) -> None:
    manifest, there = dataset.manifest(), files(dataset.folder)
    assert there.keys() == manifest.sizes().keys() | {MANIFEST}
    for file in manifest.parts():
        assert hashlib.sha256(there[file.name]).hexdigest() == file.sha256
        assert len(there[file.name]) == file.size


def test_index_has_a_row_for_each_sample_in_order(dataset: Bench) -> None:
    rows = list(index.rows(dataset.folder / INDEX))
    records = [(n, record) for n in range(4) for record, _ in dataset.records(n)]
    assert rows == [index.row(record, number) for number, record in records]
    assert [row["number"] for row in rows] == list(range(100))


def test_dataset_digest_is_of_all_samples_in_order(dataset: Bench) -> None:
    samples = [s for n in range(4) for s in dataset.plan.samples(dataset.plan.shard(n))]
    lines = "".join(
        f"{sample.context.id}/{sample.index} {hashlib.sha256(image.tobytes()).hexdigest()}\n"
        for sample, image in zip(samples, dataset.images(samples), strict=True)
    )
    assert dataset.manifest().dataset_digest == hashlib.sha256(lines.encode()).hexdigest()


def test_digest_does_not_depend_on_how_samples_are_sharded(
    bench_of: Callable[[str], Bench],
) -> None:
    digests = set()
    for size, name in ((7, "a"), (50, "b")):
        bench = bench_of(f'{{"samples": 50, "contexts": [{{"class": "hero"}}], '
                         f'"outputs": {{"shard_samples": {size}}}}}')  # fmt: skip
        bench.finished = replace(bench.finished, job=f"jobjobjobjo{name}")
        bench.done = [_moved(bench, done) for done in bench.render_all()]
        digests.add(bench.assemble().dataset_digest)
    assert len(digests) == 1


def _moved(bench: Bench, done: Any) -> Any:
    """The shard under the keys of the bench's own job."""
    keys = [key.replace("abcdefghij23", bench.finished.job) for key in (done.key, done.part_key)]
    for old, new in zip((done.key, done.part_key), keys, strict=True):
        bench.store.put(new, bench.store.get(old))
    return replace(done, key=keys[0], part_key=keys[1])


def test_request_file_asks_for_the_same_dataset(dataset: Bench) -> None:
    again = plan(load(dataset.folder / REQUEST), SPEC)
    manifest = dataset.manifest()
    assert digest(again, manifest.weights) == manifest.request_digest
    assert again.request.sampling.steps == SPEC.defaults.steps


def test_preview_shows_the_first_sprites_of_each_context(dataset: Bench) -> None:
    with Image.open(dataset.folder / PREVIEW) as sheet:
        colours = {tuple(pixel) for pixel in np.asarray(sheet.convert("RGB")).reshape(-1, 3)}
    first = dataset.images(list(dataset.plan.samples(dataset.plan.shard(0)))[:1])[0]
    opaque = {tuple(pixel) for pixel in first[first[..., 3] == 255][:, :3]}
    assert opaque <= colours


def test_request_without_preview_gets_none(bench_of: Callable[[str], Bench]) -> None:
    bench = bench_of(
        '{"samples": 3, "contexts": [{"class": "hero"}], "outputs": {"preview": false}}'
    )
    bench.render_all()
    assert PREVIEW not in bench.assemble().sizes()
    assert PREVIEW not in files(bench.folder)
    assert verify(bench.source).ok
    assert PREVIEW not in (bench.folder / "README.md").read_text()


def test_finished_dataset_stays_as_it_is(dataset: Bench) -> None:
    before, manifest = files(dataset.folder), dataset.manifest()
    assert dataset.assemble(created=1_790_000_000.0) == manifest
    assert files(dataset.folder) == before


class CrashError(Exception):
    """The process ends here."""


class CrashingStore:
    """A real store that ends the process at its n-th write."""

    def __init__(self, store: Any, writes: int) -> None:
        self._store = store
        self._left = writes

    def __getattr__(self, name: str) -> Any:
        if name.startswith("put"):
            self._left -= 1
            if self._left < 0:
                raise CrashError
        return getattr(self._store, name)


@pytest.mark.parametrize("writes", range(5))
def test_crash_at_any_write_leaves_no_manifest_and_is_made_good(bench: Bench, writes: int) -> None:
    with pytest.raises(CrashError):
        assembly.assemble(CrashingStore(bench.store, writes), bench.finished, bench.done)
    assert MANIFEST not in files(bench.folder)
    bench.assemble()
    found = files(bench.folder)
    assert assembly.clean(bench.store, bench.manifest()) == len(bench.done)
    assert files(bench.folder) == found
    assert decode(found[MANIFEST]).samples == 100


def test_missing_shard_is_a_conflict(bench: Bench) -> None:
    del bench.done[2]
    with pytest.raises(ConflictError, match="100 in 4 were"):
        bench.assemble()
    assert MANIFEST not in files(bench.folder)


def test_part_of_another_hash_is_refused(bench: Bench) -> None:
    bench.store.put(bench.done[1].part_key, bench.store.get(bench.done[2].part_key))
    with pytest.raises(CorruptError, match="has the hash"):
        bench.assemble()


def test_part_of_another_shard_is_refused(bench: Bench) -> None:
    bench.done[1] = replace(bench.done[1], samples_digest=bench.done[2].samples_digest)
    with pytest.raises(CorruptError, match="other samples"):
        bench.assemble()


def test_shard_under_another_key_is_refused(bench: Bench) -> None:
    bench.done[1] = replace(bench.done[1], sha256="0" * 64)
    with pytest.raises(CorruptError, match="recorded as"):
        bench.assemble()


def test_part_of_another_length_is_refused(bench: Bench) -> None:
    bench.done[1] = replace(bench.done[1], samples=31)
    with pytest.raises(CorruptError, match="31 samples"):
        bench.assemble()


def test_request_of_another_renderer_is_a_conflict(bench: Bench) -> None:
    with pytest.raises(ConflictError, match="another version of the renderer"):
        bench.assemble(request_digest="0" * 64)


def test_dataset_is_of_the_renderer_that_made_it_though_another_finishes_it(bench: Bench) -> None:
    other = RENDERER_VERSION + 1
    asked = digest(bench.plan, WEIGHTS, other)
    numerics = {**bench.finished.numerics, "renderer": other}
    with pytest.raises(ConflictError, match="another version of the renderer"):
        bench.assemble(numerics=numerics)
    manifest = bench.assemble(numerics=numerics, request_digest=asked)
    assert (manifest.renderer_version, manifest.request_digest) == (other, asked)


def test_cleaning_removes_orphans_and_parts_and_nothing_else(bench: Bench) -> None:
    orphan = dataset_prefix(bench.finished.job) + "shards/000001-0123456789abcdef.tar"
    other = "datasets/otherjob2345/shards/000001-0123456789abcdef.tar"
    bench.store.put(orphan, b"fenced off")
    bench.store.put(other, b"of another job")
    manifest = bench.assemble()
    assert assembly.clean(bench.store, manifest) == 1 + len(bench.done)
    assert assembly.clean(bench.store, manifest) == 0
    assert files(bench.folder).keys() == manifest.sizes().keys() | {MANIFEST}
    assert list(bench.store.list(work_prefix(bench.finished.job))) == []
    assert bench.store.get(other) == b"of another job"


def test_quarantined_samples_are_named_and_not_missed(bench: Bench) -> None:
    sample = next(bench.plan.samples(bench.plan.shard(3)))
    bench.done[3] = bench.render(3, without=sample.number)
    with pytest.raises(ConflictError, match="99 samples"):
        bench.assemble()
    named = Quarantined(number=sample.number, key=sample.key, reason="not finite")
    manifest = bench.assemble(quarantined=(named,))
    assert (manifest.samples, manifest.quarantined) == (99, (named,))
    card = bench.store.get(dataset_prefix(bench.finished.job) + CARD).decode()
    assert "1 of the samples asked for could not be rendered" in card


def test_parts_stay_while_samples_could_not_be_rendered(bench: Bench) -> None:
    sample = next(bench.plan.samples(bench.plan.shard(3)))
    bench.done[3] = bench.render(3, without=sample.number)
    named = Quarantined(number=sample.number, key=sample.key, reason="not finite")
    work = work_prefix(bench.finished.job)
    before = len(list(bench.store.list(work)))
    assert before
    assembly.clean(bench.store, bench.assemble(quarantined=(named,)))
    assert len(list(bench.store.list(work))) == before


def test_index_is_merged_in_row_groups_of_some_size(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_GROUP_ROWS", 60)
    parts = index.stored(bench.store, bench.finished.job, iter(bench.done))
    merged = index.merge(parts, tmp_path / INDEX)
    with pq.ParquetFile(tmp_path / INDEX) as file:
        groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert groups == [64, 36]
    assert merged.samples == 100
    rows = list(index.rows(tmp_path / INDEX))
    cursor = index.Cursor(tmp_path / INDEX)
    for first, count in ((0, 3), (5, 1), (60, 10), (70, 20), (99, 5), (100, 1)):
        assert cursor.take(first, count) == rows[first : first + count]


def test_merging_holds_no_more_of_many_shards_than_of_few(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_GROUP_ROWS", 10 * bench.done[0].samples)
    held: list[int] = []

    def parts() -> Iterator[tuple[ShardFile, pa.Table]]:
        for _ in range(200):
            yield next(index.stored(bench.store, bench.finished.job, iter(bench.done)))
            held.append(pa.total_allocated_bytes())

    merged = index.merge(parts(), tmp_path / INDEX)
    assert merged.samples == 200 * bench.done[0].samples
    assert max(held[100:]) <= 1.1 * max(held[:100])


def test_index_of_very_many_shards_is_read(bench: Bench, tmp_path: Path) -> None:
    text = "x" * 101 * 10**6  # pyarrow takes 100 MB unasked
    parts = index.stored(bench.store, bench.finished.job, iter(bench.done))
    index.merge(parts, tmp_path / INDEX, lambda _merged: text)
    assert index.about(tmp_path / INDEX) == text
    assert len(list(index.rows(tmp_path / INDEX))) == 100
    found = index.found(FolderSource(tmp_path), "number", [3])
    assert [row["number"] for row in found] == [3]


def test_index_of_other_columns_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(bench.store.get(bench.done[0].part_key))
    with pytest.raises(CorruptError, match="columns"):
        list(index.rows(tmp_path / INDEX))


def test_manifest_is_json_that_people_can_read(dataset: Bench) -> None:
    values = json.loads((dataset.folder / MANIFEST).read_text())
    assert values["format"] == "spritemill-dataset/1"
    assert values["created"] == "2026-05-28T20:26:40+00:00"
    assert values["numerics"] == {"device": "cpu", "dtype": "float32"}
