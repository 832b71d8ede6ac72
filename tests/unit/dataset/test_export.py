"""What an export holds, under which names, and how it goes on after it was interrupted."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.dataset import png
from core.dataset.export import parquet, webdataset
from core.dataset.export.claim import MARKER
from core.dataset.export.features import features
from core.dataset.export.formats import FORMATS
from core.dataset.export.naming import Pattern
from core.dataset.export.options import ALL, Options, colours, shares
from core.dataset.export.splitting import split
from core.dataset.export.work import Exported, export
from core.dataset.shard import pack
from core.dataset.source import Source
from core.errors import CorruptError, NotFoundError, RequestError
from tests.unit.dataset.bench import Bench, folder_store


def exported(
    source: Source, out: Path, options: Options | None = None, name: str = "parquet"
) -> Exported:
    return export(source, folder_store(out), str(out), name, options or Options())


def rows(out: Path, part: str = "*") -> list[dict[str, Any]]:
    """The rows of exported Parquet files, without their pictures."""
    found: list[dict[str, Any]] = []
    for path in sorted(out.glob(f"data/{part}-*.parquet")):
        found += pq.read_table(path).drop_columns(["image"]).to_pylist()
    return found


def files(out: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its time of change and its bytes."""
    return {
        path.relative_to(out).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in out.rglob("*")
        if path.is_file()
    }


PAGE = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")


def documented(head: str) -> list[str]:
    """The names in the first column of the page's table with that head."""
    table = PAGE[PAGE.index(f"| {head} |") :].split("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    return [name for cell in cells for name in re.findall(r"`(?:--)?([\w-]+)", cell)]


def test_formats_columns_and_options_are_documented() -> None:
    assert documented("`--format`") == list(FORMATS)
    assert documented("column") == list(features([]))
    options = {"split" if name == "splits" else name for name in Options.__slots__}
    assert set(documented("option")) == options


@pytest.fixture
def twins(dataset: Bench) -> Bench:
    """A dataset where samples 1 and 35 look as sample 0 does, but for a shade; 70 as 69 does."""
    manifest = dataset.manifest()
    pictures = [pair for number in range(4) for pair in dataset.records(number)]
    images = np.stack([png.decode(picture, 32) for _, picture in pictures])
    images[1] = images[35] = images[0]
    images[35, ..., 0] = np.where(images[35, ..., 3] > 0, images[35, ..., 0] // 2 * 2, 0)
    images[70] = images[69]
    for number, shard in enumerate(manifest.shards):
        planned = list(dataset.plan.samples(dataset.plan.shard(number)))
        start = number * 32
        dataset.forge_shard(number, pack(planned, images[start : start + shard.samples]).tar)
    return dataset


def test_filter_keeps_what_it_means_in_order(dataset: Bench, tmp_path: Path) -> None:
    made = exported(dataset.source, tmp_path / "out", Options(where='class = "potion"'))
    kept = rows(tmp_path / "out")
    assert made.samples == {"train": 40}
    assert [row["number"] for row in kept] == list(range(40))


def test_filter_that_keeps_nothing_is_refused_and_nothing_written(
    dataset: Bench, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match="leaves no sprite"):
        exported(dataset.source, tmp_path / "out", Options(where="index > 1000"))
    assert not (tmp_path / "out").exists()


def test_split_is_of_each_context_and_whole(dataset: Bench, tmp_path: Path) -> None:
    asked = shares("train=0.8,validation=0.1,test=0.1")
    made = exported(dataset.source, tmp_path / "out", Options(splits=asked))
    assert made.samples == {"train": 80, "validation": 10, "test": 10}
    parts = {part: rows(tmp_path / "out", part) for part in made.samples}
    assert sorted(row["number"] for part in parts.values() for row in part) == list(range(100))
    for part, share in asked:
        held = Counter(row["context"] for row in parts[part])
        assert all(
            abs(held[label] - share * count) <= 1
            for label, count in (("potion", 40), ("hero + 0.6 potion", 30))
        )


def test_near_duplicates_stay_on_one_side(twins: Bench, tmp_path: Path) -> None:
    asked = shares("a=0.25,b=0.25,c=0.25,d=0.25")
    exported(twins.source, tmp_path / "out", Options(splits=asked))
    side = {row["number"]: part for part in "abcd" for row in rows(tmp_path / "out", part)}
    assert side[0] == side[1] == side[35]
    assert side[69] == side[70]


def test_unique_leaves_the_lowest_number(twins: Bench, tmp_path: Path) -> None:
    made = exported(twins.source, tmp_path / "out", Options(unique=True))
    assert made.duplicates == 3
    numbers = {row["number"] for row in rows(tmp_path / "out")}
    assert numbers == set(range(100)) - {1, 35, 70}


def test_unique_looks_only_at_what_the_filter_keeps(twins: Bench, tmp_path: Path) -> None:
    asked = Options(unique=True, where="number > 0")
    assert exported(twins.source, tmp_path / "out", asked).duplicates == 2
    numbers = {row["number"] for row in rows(tmp_path / "out")}
    assert numbers == set(range(1, 100)) - {35, 70}


def test_split_is_the_same_wherever_it_is_made_and_close_to_the_shares() -> None:
    chance = np.random.default_rng(3)
    contexts = chance.integers(0, 2**63, 50, dtype=np.uint64).repeat(41)
    pixels = chance.integers(0, 2**63, len(contexts), dtype=np.uint64)
    groups = [[0, 700, 1500], [5, 6]]
    parts = split(contexts, pixels, groups, [0.7, 0.2, 0.1])
    assert np.array_equal(parts, split(contexts, pixels, groups, [0.7, 0.2, 0.1]))
    assert all(len({int(parts[place]) for place in group}) == 1 for group in groups)
    for number, share in enumerate((0.7, 0.2, 0.1)):
        assert abs((parts == number).mean() - share) < 0.002
        by_context = (parts == number).reshape(50, 41).mean(axis=1)
        assert np.abs(by_context - share).max() < 0.12


def test_contexts_of_one_sample_are_split_too() -> None:
    contexts = np.random.default_rng(1).integers(0, 2**63, 1000, dtype=np.uint64)
    parts = split(contexts, contexts, [], [0.8, 0.2])
    assert np.bincount(parts).tolist() == [800, 200]


def test_part_without_a_sprite_is_refused(dataset: Bench, tmp_path: Path) -> None:
    asked = Options(splits=shares("train=0.9,test=0.1"), where="number < 3")
    with pytest.raises(RequestError, match="test"):
        exported(dataset.source, tmp_path / "out", asked)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{key}", None),
        ("{class}-{index:04}", "potion-0007"),
        ("{number}", "7"),
        ("{context}_{caption}-{number:03}", "potion_potion-007"),
    ],
)
def test_pattern_names_sprites(dataset: Bench, pattern: str, name: str | None) -> None:
    record, _ = dataset.records(0)[7]
    assert Pattern(pattern).name(record) == (name or record.key)


def test_class_in_a_name_is_the_context_where_there_is_none(dataset: Bench) -> None:
    record, _ = dataset.records(1)[20]
    assert Pattern("{class}").name(record) == "hero-0-6-potion"


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("sprite", "no field"),
        ("{clas}", "class"),
        ("{index", "cannot be read"),
        ("{index!r}", "not allowed"),
        ("{index:>200}", "not allowed"),
        ("{index:4}", "not allowed"),
        ("{class:04}", "not allowed"),
        ("{class.upper}", "no field"),
        ("{}", "no field"),
        ("../{index}", "may stand"),
        ("a/{index}", "may stand"),
        ("{index}.x", "may stand"),
    ],
)
def test_pattern_that_cannot_name_files_is_refused(pattern: str, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        Options(name=pattern)


def test_pattern_that_gives_two_sprites_one_name_is_refused(dataset: Bench, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="one name"):
        exported(dataset.source, tmp_path / "out", Options(name="sprite-{index}"))
    asked = Options(name="sprite-{index}", where='class = "potion"')
    exported(dataset.source, tmp_path / "out", asked)
    assert [row["key"] for row in rows(tmp_path / "out")][:2] == ["sprite-0", "sprite-1"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("train=0.8,test=0.1", "sum up to 0.9"),
        ("train=0.8,train=0.2", "already"),
        ("train=x", "share"),
        ("train", "share"),
        ("Train=1", "a-z"),
        ("../x=1", "a-z"),
        ("a=nan,b=1", "share"),
        (",", "sum up to 0"),
    ],
)
def test_shares_that_are_no_whole_are_refused(text: str, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        shares(text)


def test_palette_is_read_from_names_numbers_lists_and_files(tmp_path: Path) -> None:
    plain, gimp = tmp_path / "two.hex", tmp_path / "two.gpl"
    plain.write_text("FF0000\n#00ff00\n\n")
    gimp.write_text("GIMP Palette\nName: two\n#\n255   0   0 red\n  0 255   0\tgreen\n")
    two = ("#ff0000", "#00ff00")
    assert colours("#FF0000, #00ff00") == colours(str(plain)) == colours(str(gimp)) == two
    assert colours("16") == 16
    assert len(colours("pico-8")) == 16  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["nothing", "0", "257", "#12345", "#ff0000,red"])
def test_palette_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="palette"):
        colours(text)


def test_number_of_colours_is_chosen_from_the_sprites(dataset: Bench, tmp_path: Path) -> None:
    exported(dataset.source, tmp_path / "out", Options(palette=5))
    pictures = pq.read_table(next((tmp_path / "out").glob("data/*")))["image"].to_pylist()
    images = np.stack([png.decode(picture["bytes"], 32) for picture in pictures])
    assert len(np.unique(images[images[..., 3] > 0], axis=0)) == 5


@pytest.mark.parametrize(
    "wrong", [{"scale": 0}, {"scale": 65}, {"background": "white"}, {"where": "x = 1"}]
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=next(iter(wrong))):
        Options(**wrong)


def test_export_that_is_there_is_not_made_again(dataset: Bench, tmp_path: Path) -> None:
    for name in ("webdataset", "parquet", "imagefolder", "numpy", "aseprite", "croissant"):
        out = tmp_path / name
        assert exported(dataset.source, out, name=name).written == 1
        before = files(out)
        assert exported(dataset.source, out, name=name).written == 0
        data = {key for key in before if key.rpartition(".")[2] in ("tar", "parquet", "npy", "png")}
        assert data
        assert {key: files(out)[key] for key in data} == {key: before[key] for key in data}


def test_interrupted_export_goes_on_to_the_same_files(
    dataset: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webdataset, "SAMPLES", 7)
    asked = Options(splits=shares("train=0.6,test=0.4"), where="number != 50")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert exported(dataset.source, whole, asked, "webdataset").written == 15

    def stop(stage: str, done: int, _total: int) -> None:
        if stage == "writing" and done == 99:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(dataset.source, folder_store(broken), "broken", "webdataset", asked, stop)
    for path in sorted(broken.glob("*.tar"))[::2]:
        path.unlink()
    there = {key: value for key, value in files(broken).items() if key.endswith(".tar")}
    assert 0 < len(there) < 15
    assert exported(dataset.source, broken, asked, "webdataset").written == 15 - len(there)
    after = files(broken)
    assert {key: after[key] for key in there} == there
    assert {key: data for key, (_, data) in after.items()} == {
        key: data for key, (_, data) in files(whole).items()
    }


def test_shards_whose_samples_are_all_written_are_not_read(
    dataset: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "SAMPLES", 8)
    out = tmp_path / "out"
    asked = Options(where="number < 8 or number > 80")
    exported(dataset.source, out, asked)
    names = sorted(path.name for path in out.glob("data/*"))
    assert len(names) == 4
    (out / "data" / names[2]).unlink()
    damaged = dataset.folder / dataset.manifest().shards[0].name
    damaged.write_bytes(b"")
    assert exported(dataset.source, out, asked).written == 1
    assert [row["number"] for row in rows(out)] == [*range(8), *range(81, 100)]


def test_part_that_is_in_no_sample_of_a_shard_goes_on_behind_it(
    dataset: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "SAMPLES", 10)
    out = tmp_path / "out"
    asked = Options(where="number < 25 or number > 97")
    exported(dataset.source, out, asked)
    for path in sorted(out.glob("data/*"))[2:]:
        path.unlink()
    assert exported(dataset.source, out, asked).written == 1
    assert [row["number"] for row in rows(out)] == [*range(25), 98, 99]


def test_damaged_shard_ends_the_export(dataset: Bench, tmp_path: Path) -> None:
    path = dataset.folder / dataset.manifest().shards[2].name
    raw = bytearray(path.read_bytes())
    raw[600] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CorruptError):
        exported(dataset.source, tmp_path / "out")
    assert not list((tmp_path / "out").glob("data/*"))


def test_index_of_other_bytes_is_refused(dataset: Bench, tmp_path: Path) -> None:
    (dataset.folder / "index.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorruptError, match=r"index\.parquet"):
        exported(dataset.source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unfinished_dataset_is_refused(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        exported(bench.source, tmp_path / "out")


def test_unknown_format_is_refused_with_the_nearest(dataset: Bench, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="imagefolder"):
        exported(dataset.source, tmp_path / "out", name="image-folder")


def test_one_hots_that_no_memory_holds_are_refused(
    dataset: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.dataset.export.arrays.MOST_LABEL_BYTES", 299)
    with pytest.raises(RequestError, match="300 bytes"):
        exported(dataset.source, tmp_path / "out", name="numpy")


def test_marker_tells_what_was_asked(dataset: Bench, tmp_path: Path) -> None:
    exported(dataset.source, tmp_path / "out", Options(splits=ALL, where="index < 5"))
    marker = json.loads((tmp_path / "out" / MARKER).read_text())
    assert marker["dataset_digest"] == dataset.manifest().dataset_digest
    assert (marker["format"], marker["options"]["where"]) == ("parquet", "index < 5")
