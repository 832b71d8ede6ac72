import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.dataset import png, tar
from core.dataset.layout import CARD, INDEX, MANIFEST, PREVIEW, REPORT, REQUEST
from core.dataset.repair import Repair, repair
from core.dataset.verify import verify
from core.errors import CorruptError
from tests.unit.dataset.bench import Bench
from tests.unit.dataset.renderer import Renderer


@pytest.fixture
def renderer(dataset: Bench) -> Renderer:
    return Renderer(dataset)


@pytest.fixture
def mended(dataset: Bench, renderer: Renderer) -> Callable[[], Repair]:
    """Repairs, and proves that every byte is again what it was."""
    before = contents(dataset)

    def mend() -> Repair:
        assert not verify(dataset.source).ok
        done = repair(dataset.source, renderer)
        assert contents(dataset) == before
        assert verify(dataset.source).ok
        return done

    return mend


def contents(dataset: Bench) -> dict[str, str]:
    return {
        name: hashlib.sha256((dataset.folder / name).read_bytes()).hexdigest()
        for name in dataset.source.files()
    }


def path_of(dataset: Bench, number: int) -> Path:
    return Path(dataset.folder / dataset.manifest().shards[number].name)


def flip(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)


def test_sound_dataset_is_left_alone(dataset: Bench, renderer: Renderer) -> None:
    before = {path: path.stat().st_mtime_ns for path in dataset.folder.rglob("*")}
    assert repair(dataset.source, renderer) == Repair()
    assert renderer.started == 0
    assert {path: path.stat().st_mtime_ns for path in dataset.folder.rglob("*")} == before


def test_flipped_bit_in_a_sprite_costs_one_sprite(
    dataset: Bench, renderer: Renderer, mended: Callable[[], Repair]
) -> None:
    path = path_of(dataset, 1)
    flip(path, 1000)
    assert mended().rendered == 1
    assert renderer.asked == [32]


def test_flipped_bit_in_a_record_costs_nothing(
    dataset: Bench, renderer: Renderer, mended: Callable[[], Repair]
) -> None:
    path = path_of(dataset, 1)
    flip(path, path.read_bytes().index(b'"caption"') + 12)
    assert mended().rendered == 0
    assert renderer.started == 0


def test_flipped_bit_in_a_header_costs_one_sprite(
    dataset: Bench, mended: Callable[[], Repair]
) -> None:
    flip(path_of(dataset, 2), 3)
    assert mended().rendered == 1


def test_truncated_shard_costs_what_was_cut_off(
    dataset: Bench, renderer: Renderer, mended: Callable[[], Repair]
) -> None:
    path = path_of(dataset, 0)
    size = len(tar.member("a", dataset.records(0)[31][1]))
    path.write_bytes(path.read_bytes()[: -size - 3000])
    assert 1 <= mended().rendered <= 2
    assert renderer.asked[-1] == 31


def test_missing_shard_is_rendered_and_no_other(
    dataset: Bench, renderer: Renderer, mended: Callable[[], Repair]
) -> None:
    path_of(dataset, 2).unlink()
    assert mended().rendered == 32
    assert renderer.asked == list(range(64, 96))


def test_extra_shard_is_removed_and_a_users_file_is_not(
    dataset: Bench, mended: Callable[[], Repair]
) -> None:
    stray = "shards/000001-0123456789abcdef.tar"
    (dataset.folder / stray).write_bytes(b"")
    assert mended().removed == [stray]
    (dataset.folder / "notes.txt").write_text("mine")
    assert repair(dataset.source, Renderer(dataset)) == Repair()


def test_swapped_shards_are_swapped_back(
    dataset: Bench, renderer: Renderer, mended: Callable[[], Repair]
) -> None:
    one, two = path_of(dataset, 1), path_of(dataset, 2)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert len(mended().mended) == 2
    assert renderer.started == 0


def test_exchanged_samples_are_exchanged_back(
    dataset: Bench, renderer: Renderer, mended: Callable[[], Repair]
) -> None:
    pairs = dataset.records(1)
    pairs[3], pairs[4] = pairs[4], pairs[3]
    path_of(dataset, 1).write_bytes(packed(pairs))
    assert mended().rendered == 0
    assert renderer.started == 0


def test_exchanged_pictures_are_rendered_again(
    dataset: Bench, renderer: Renderer, mended: Callable[[], Repair]
) -> None:
    (one, first), (two, second), *rest = dataset.records(1)
    path_of(dataset, 1).write_bytes(packed([(one, second), (two, first), *rest]))
    mended()
    assert renderer.asked == [32, 33]


def test_exchange_that_the_manifest_agrees_with_is_mended(
    dataset: Bench, mended: Callable[[], Repair]
) -> None:
    pairs = dataset.records(1)
    pairs[3], pairs[4] = pairs[4], pairs[3]
    dataset.forge_shard(1, packed(pairs))
    done = mended()
    assert MANIFEST in done.mended
    assert len(done.removed) == 1, "the forged shard"


@pytest.mark.parametrize("name", [REQUEST, INDEX, PREVIEW, REPORT, CARD, MANIFEST])
@pytest.mark.parametrize("how", ["missing", "flipped", "empty"])
def test_damaged_file_beside_the_shards_is_made_again(
    dataset: Bench, renderer: Renderer, mended: Callable[[], Repair], name: str, how: str
) -> None:
    path = dataset.folder / name
    if how == "missing":
        path.unlink()
    elif how == "flipped":
        flip(path, path.stat().st_size // 2)
    else:
        path.write_bytes(b"")
    assert mended().mended == [name]
    assert renderer.started == 0


@pytest.mark.parametrize("changes", [{"name": "forged"}, {"samples": 99}, {"weights": "0" * 64}])
def test_manifest_that_was_sealed_anew_is_made_again(
    dataset: Bench, mended: Callable[[], Repair], changes: dict[str, Any]
) -> None:
    dataset.forge(**changes)
    assert mended().mended == [MANIFEST]


def test_shard_and_index_together_are_mended(
    dataset: Bench, renderer: Renderer, mended: Callable[[], Repair]
) -> None:
    flip(path_of(dataset, 1), 1000)
    (dataset.folder / INDEX).unlink()
    assert mended().rendered == 32
    assert renderer.asked == list(range(32, 64))


def test_all_shards_and_the_manifest_are_made_again_from_the_index(
    dataset: Bench, mended: Callable[[], Repair]
) -> None:
    for number in range(4):
        path_of(dataset, number).unlink()
    (dataset.folder / MANIFEST).unlink()
    assert mended().rendered == 100


def test_sprites_that_come_out_otherwise_are_not_written(dataset: Bench) -> None:
    flip(path_of(dataset, 1), 1000)
    before = contents(dataset)
    done = repair(dataset.source, Renderer(dataset, {"device": "H200"}, alike=False))
    [problem] = done.lost
    assert (problem.kind, problem.where) == ("lost", dataset.manifest().shards[1].name)
    assert "device was cpu, here H200" in problem.detail
    assert contents(dataset) == before


def test_other_zlib_gives_another_file_of_the_same_sprites(
    dataset: Bench, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = dataset.manifest().dataset_digest
    path_of(dataset, 1).unlink()
    monkeypatch.setattr(png, "_LEVEL", 9)
    done = repair(dataset.source, renderer)
    report = verify(dataset.source)
    assert report.ok
    assert report.digest == digest
    assert {INDEX, MANIFEST} < set(done.mended)
    assert not done.lost


def test_repair_that_was_killed_between_index_and_manifest_is_ended(
    dataset: Bench, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = (dataset.folder / MANIFEST).read_bytes()
    path_of(dataset, 1).unlink()
    monkeypatch.setattr(png, "_LEVEL", 9)
    repair(dataset.source, renderer)
    ended = contents(dataset)
    (dataset.folder / MANIFEST).write_bytes(older)
    assert repair(dataset.source, renderer).mended == [MANIFEST]
    assert contents(dataset) == ended


def test_loss_of_manifest_and_index_together_is_told(dataset: Bench, renderer: Renderer) -> None:
    (dataset.folder / MANIFEST).unlink()
    flip(dataset.folder / INDEX, -1)
    with pytest.raises(CorruptError, match="neither the manifest nor the index"):
        repair(dataset.source, renderer)


def test_loss_of_request_and_index_together_is_told(dataset: Bench, renderer: Renderer) -> None:
    (dataset.folder / REQUEST).unlink()
    (dataset.folder / INDEX).unlink()
    with pytest.raises(CorruptError, match=REQUEST):
        repair(dataset.source, renderer)


def packed(pairs: Sequence[tuple[Any, bytes]]) -> bytes:
    members = [
        tar.member(f"{record.key}.png", picture) + tar.member(f"{record.key}.json", record.encode())
        for record, picture in pairs
    ]
    return b"".join(members) + tar.end()
