import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.dataset import png, tar
from core.dataset.layout import CARD, INDEX, MANIFEST, PREVIEW, REQUEST
from core.dataset.manifest import Quarantined
from core.dataset.record import Record, pixels_sha256
from core.dataset.report import Problems
from core.dataset.source import StoreSource
from core.dataset.verify import verify
from tests.unit.dataset.bench import Bench


def kinds(dataset: Bench) -> set[tuple[str, str]]:
    """Kind and place of each problem, shards by their number."""
    report = verify(dataset.source)
    assert report.ok == (not report.problems)
    assert all(problem.remedy and problem.detail for problem in report.problems)
    return {(problem.kind, problem.where.split("-")[0]) for problem in report.problems}


def forged(dataset: Bench) -> set[tuple[str, str]]:
    """The same of a manifest that was changed and sealed anew, which the index's copy tells."""
    found = kinds(dataset)
    assert ("manifest", MANIFEST) in found
    return found - {("manifest", MANIFEST)}


def shard_path(dataset: Bench, number: int) -> Path:
    path: Path = dataset.folder / dataset.manifest().shards[number].name
    return path


def tarred(pairs: list[tuple[Record, bytes]]) -> bytes:
    members = [
        tar.member(f"{record.key}.png", picture) + tar.member(f"{record.key}.json", record.encode())
        for record, picture in pairs
    ]
    return b"".join(members) + tar.end()


def test_finished_dataset_has_no_problem(dataset: Bench) -> None:
    seen: list[tuple[int, int]] = []
    report = verify(dataset.source, lambda done, total: seen.append((done, total)))
    assert report.ok
    assert (report.samples, report.digest) == (100, dataset.manifest().dataset_digest)
    assert seen[-1] == (report.bytes, report.bytes)
    assert report.bytes == sum(dataset.manifest().sizes().values())


def test_dataset_in_a_store_is_verified_there(dataset: Bench) -> None:
    assert verify(StoreSource(dataset.store, dataset.finished.job)).ok


def test_processes_share_a_dataset_and_find_the_same(
    dataset: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.dataset.verify._WORTH_PROCESSES", 0)
    assert verify(dataset.source, processes=2) == verify(dataset.source)
    shard_path(dataset, 2).write_bytes(shard_path(dataset, 3).read_bytes())
    flipped = bytearray(shard_path(dataset, 1).read_bytes())
    flipped[1000] ^= 1
    shard_path(dataset, 1).write_bytes(flipped)
    shared = verify(dataset.source, processes=2)
    assert not shared.ok
    assert shared == verify(dataset.source)


def test_dataset_with_a_quarantined_sample_is_complete(bench: Bench) -> None:
    sample = next(bench.plan.samples(bench.plan.shard(3)))
    bench.store.delete(bench.done[3].key)
    bench.done[3] = bench.render(3, without=sample.number)
    bench.assemble(quarantined=(Quarantined(number=sample.number, key=sample.key, reason="NaN"),))
    assert verify(bench.source).ok


@pytest.mark.parametrize("name", [REQUEST, INDEX, PREVIEW, CARD])
def test_missing_file_is_found(dataset: Bench, name: str) -> None:
    (dataset.folder / name).unlink()
    assert kinds(dataset) == {("missing", name)}


def test_missing_shard_is_found(dataset: Bench) -> None:
    shard_path(dataset, 2).unlink()
    assert kinds(dataset) == {("missing", "shards/000002")}


def test_unfinished_dataset_is_told_from_a_damaged_one(dataset: Bench) -> None:
    (dataset.folder / MANIFEST).unlink()
    assert kinds(dataset) == {("unfinished", MANIFEST)}


def test_leftover_file_is_found(dataset: Bench) -> None:
    (dataset.folder / "shards/000001-0123456789abcdef.tar").write_bytes(b"")
    (dataset.folder / "notes.txt").write_text("mine")
    assert kinds(dataset) == {("extra", "shards/000001"), ("extra", "notes.txt")}


def test_hidden_files_are_the_users_own(dataset: Bench) -> None:
    (dataset.folder / ".git").mkdir()
    (dataset.folder / ".git/config").write_text("mine")
    (dataset.folder / ".DS_Store").write_text("mine")
    assert kinds(dataset) == set()


def test_truncated_shard_is_found(dataset: Bench) -> None:
    path = shard_path(dataset, 1)
    path.write_bytes(path.read_bytes()[:-1000])
    assert kinds(dataset) == {("size", "shards/000001")}


@pytest.mark.parametrize("name", ["shard", REQUEST, INDEX, PREVIEW, CARD])
def test_flipped_bit_is_found(dataset: Bench, name: str) -> None:
    path = shard_path(dataset, 1) if name == "shard" else dataset.folder / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert kinds(dataset) == {("hash", "shards/000001" if name == "shard" else name)}


def test_shards_in_each_others_place_are_found(dataset: Bench) -> None:
    one, two = shard_path(dataset, 1), shard_path(dataset, 2)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    found = {place for _, place in kinds(dataset)}
    assert found == {"shards/000001", "shards/000002"}


def test_shards_that_swapped_numbers_are_found(dataset: Bench) -> None:
    manifest = dataset.manifest()
    zero, one, two, three = manifest.shards
    dataset.forge(shards=(zero, two, one, three))
    assert {("manifest", "shards/000001"), ("order", "shards/000001"), ("digest", "dataset")} <= (
        kinds(dataset)
    )


@pytest.mark.parametrize("byte", [b"quickstart", b"CC0-1.0", b'"seal": "'])
def test_edited_manifest_is_found(dataset: Bench, byte: bytes) -> None:
    raw = (dataset.folder / MANIFEST).read_bytes()
    place = raw.index(byte) + len(byte)
    edited = raw[:place] + (b"0" if raw[place : place + 1] != b"0" else b"1") + raw[place + 1 :]
    (dataset.folder / MANIFEST).write_bytes(edited)
    assert kinds(dataset) == {("manifest", MANIFEST)}


@pytest.mark.parametrize("raw", [b"", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"format": 1}'])
def test_manifest_that_is_none_is_found(dataset: Bench, raw: bytes) -> None:
    (dataset.folder / MANIFEST).write_bytes(raw)
    assert kinds(dataset) == {("manifest", MANIFEST)}


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "shards/../x.tar"])
def test_manifest_that_points_outside_is_refused(dataset: Bench, name: str) -> None:
    shards = dataset.manifest().shards
    dataset.forge(shards=(shards[0].model_copy(update={"name": name}), *shards[1:]))
    assert kinds(dataset) == {("manifest", MANIFEST)}


def test_forged_digest_is_found(dataset: Bench) -> None:
    dataset.forge(dataset_digest="0" * 64)
    assert forged(dataset) == {("digest", "dataset")}


def test_forged_weights_are_found(dataset: Bench) -> None:
    dataset.forge(weights="0" * 64)
    assert forged(dataset) == {("request", REQUEST)}


def test_forged_sample_count_is_found(dataset: Bench) -> None:
    dataset.forge(samples=101)
    assert forged(dataset) == {("count", MANIFEST)}


def test_dropped_shard_is_found_though_the_manifest_agrees(dataset: Bench) -> None:
    shard_path(dataset, 3).unlink()
    dataset.forge(shards=dataset.manifest().shards[:3], samples=96)
    assert forged(dataset) == {("count", "dataset"), ("index", INDEX), ("digest", "dataset")}


def test_exchanged_samples_are_found_though_all_hashes_agree(dataset: Bench) -> None:
    pairs = dataset.records(1)
    pairs[3], pairs[4] = pairs[4], pairs[3]
    dataset.forge_shard(1, tarred(pairs))
    assert forged(dataset) == {
        ("order", "shards/000001"), ("index", INDEX), ("digest", "dataset"),
    }  # fmt: skip


def test_exchanged_pictures_are_found_though_all_hashes_agree(dataset: Bench) -> None:
    pairs = dataset.records(1)
    (one, first), (two, second) = pairs[:2]
    dataset.forge_shard(1, tarred([(one, second), (two, first), *pairs[2:]]))
    assert forged(dataset) == {("pixels", "shards/000001"), ("digest", "dataset")}


def test_repeated_sample_is_found_though_all_hashes_agree(dataset: Bench) -> None:
    pairs = dataset.records(1)
    dataset.forge_shard(1, tarred([*pairs[:-1], pairs[0]]))
    assert forged(dataset) == {
        ("order", "shards/000001"), ("index", INDEX), ("digest", "dataset"),
    }  # fmt: skip


def test_missing_sample_is_found_though_all_hashes_agree(dataset: Bench) -> None:
    dataset.forge_shard(3, tarred(dataset.records(3)[:-1]))
    assert forged(dataset) == {("count", "shards/000003"), ("digest", "dataset")}


def test_repainted_sample_is_found_though_all_hashes_agree(dataset: Bench) -> None:
    (record, picture), *rest = dataset.records(0)
    pixels = png.decode(picture, 32).copy()
    pixels[0, 0] = (255, 0, 255, 255)
    repainted = replace(record, sha256=pixels_sha256(pixels))
    dataset.forge_shard(0, tarred([(repainted, png.encode(pixels)), *rest]))
    assert forged(dataset) == {("index", INDEX), ("digest", "dataset")}


def test_forged_seed_is_found_though_all_hashes_agree(dataset: Bench) -> None:
    (record, picture), *rest = dataset.records(0)
    dataset.forge_shard(0, tarred([(replace(record, seed="0" * 32), picture), *rest]))
    assert ("order", "shards/000000") in forged(dataset)


def test_edited_index_is_found_though_all_hashes_agree(dataset: Bench) -> None:
    path = dataset.folder / INDEX
    table = pq.read_table(path)
    captions = ["rewritten", *table["caption"].to_pylist()[1:]]
    place = table.schema.get_field_index("caption")
    pq.write_table(table.set_column(place, table.schema.field(place), [captions]), path)
    _forge_file(dataset, INDEX)
    assert kinds(dataset) == {("index", INDEX)}


@pytest.mark.parametrize("raw", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_index_that_is_no_parquet_is_found(dataset: Bench, raw: bytes) -> None:
    (dataset.folder / INDEX).write_bytes(raw)
    _forge_file(dataset, INDEX)
    assert kinds(dataset) == {("index", INDEX)}


@pytest.mark.parametrize(
    ("old", "new"), [("seed: 7", "seed: 8"), ("class: potion", "class: dragon"), ("seed", "[")]
)
def test_edited_request_is_found_though_all_hashes_agree(
    dataset: Bench, old: str, new: str
) -> None:
    path = dataset.folder / REQUEST
    path.write_text(path.read_text().replace(old, new, 1))
    _forge_file(dataset, REQUEST)
    assert kinds(dataset) == {("request", REQUEST)}


def test_problem_says_where_what_and_how_to_mend_it(dataset: Bench) -> None:
    (dataset.folder / CARD).unlink()
    [problem] = verify(dataset.source).problems
    assert str(problem).startswith("README.md: missing: the manifest names it")
    assert str(problem).endswith("fetch the file from the store again.")


def _forge_file(dataset: Bench, name: str) -> None:
    raw = (dataset.folder / name).read_bytes()
    new = {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}
    files = [f.model_copy(update=new) if f.name == name else f for f in dataset.manifest().files]
    dataset.forge(files=tuple(files))


@pytest.mark.parametrize("raw", [b"\0" * 1024 * 1024, b"not a tar file" * 100, b""])
def test_shard_that_is_no_tar_is_found(dataset: Bench, raw: bytes) -> None:
    dataset.forge_shard(2, raw)
    assert forged(dataset) == {("shard", "shards/000002")}


def test_every_problem_of_a_dataset_is_reported_at_once(dataset: Bench) -> None:
    shard_path(dataset, 0).unlink()
    (dataset.folder / CARD).write_text("mine")
    (dataset.folder / "notes.txt").write_text("mine")
    assert kinds(dataset) == {("missing", "shards/000000"), ("size", CARD), ("extra", "notes.txt")}


def test_report_stays_short_however_much_is_wrong() -> None:
    problems = Problems()
    for number in range(1000):
        problems.add("missing", f"shard {number}", "gone.")
    assert len(problems.all()) == 101
    assert "900 problems more" in problems.all()[-1].detail


def test_store_without_the_dataset_reports_it_unfinished(bench_of: Callable[[str], Bench]) -> None:
    bench = bench_of('{"samples": 3, "contexts": [{"class": "hero"}]}')
    [problem] = verify(StoreSource(bench.store, bench.finished.job)).problems
    assert problem.kind == "unfinished"
