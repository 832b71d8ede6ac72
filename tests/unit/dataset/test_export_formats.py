"""Each format, loaded with the tool that it is for: the pixels and words are the dataset's."""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import webdataset
from numpy.typing import NDArray
from PIL import Image

from core.dataset.export.options import Options, shares
from core.dataset.export.work import export
from core.dataset.reader import sprites
from core.dataset.record import Record, pixels_sha256
from core.training.sources import read
from tests.unit.dataset.bench import Bench, folder_store

SPLIT = Options(splits=shares("train=0.8,validation=0.1,test=0.1"))
COUNTS = {"train": 80, "validation": 10, "test": 10}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The library `datasets`, without its hub."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        import datasets

        datasets.disable_progress_bars()
        yield datasets


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def exported(dataset: Bench, out: Path, name: str, options: Options = SPLIT) -> Path:
    export(dataset.source, folder_store(out), str(out), name, options)
    return out


def original(dataset: Bench) -> dict[str, tuple[Record, NDArray[np.uint8]]]:
    """The dataset's samples by key."""
    found = sprites(dataset.source, dataset.manifest())
    return {record.key: (record, pixels) for record, pixels in found}


def label(dataset: Bench, record: Record) -> int:
    names = dataset.manifest().model.classes
    return names.index(record.class_name) if record.class_name else -1


def assert_rows_are_the_dataset(dataset: Bench, rows: list[dict[str, Any]]) -> None:
    """Rows of a loaded table, all parts together."""
    wanted = original(dataset)
    assert len(rows) == len(wanted) == len({row["key"] for row in rows})
    for row in rows:
        record, pixels = wanted[row["key"]]
        assert np.array_equal(np.asarray(row["image"]), pixels)
        assert row["label"] == label(dataset, record)
        assert (row["caption"], row["class"]) == (record.caption, record.class_name)
        assert (row["context"], row["number"]) == (record.context_label, record.number)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves it open
def test_webdataset_is_read_by_webdataset(dataset: Bench, out: Path) -> None:
    shards = sorted(str(path) for path in exported(dataset, out, "webdataset").glob("*.tar"))
    wanted = original(dataset)
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgba8"))
    assert len(samples) == 100
    for sample in samples:
        record, pixels = wanted[sample["__key__"]]
        assert np.array_equal(sample["png"], pixels)
        assert sample["cls"] == label(dataset, record)
        assert (sample["txt"], sample["json"]["number"]) == (record.caption, record.number)


@pytest.mark.parametrize("streaming", [False, True])
def test_webdataset_is_read_by_datasets(
    dataset: Bench, out: Path, hub: ModuleType, tmp_path: Path, streaming: bool
) -> None:
    folder = exported(dataset, out, "webdataset")
    loaded = hub.load_dataset(
        "webdataset", data_dir=str(folder), streaming=streaming, cache_dir=str(tmp_path / "cache")
    )
    rows = [row for part in COUNTS for row in loaded[part]]
    assert {part: sum(1 for _ in loaded[part]) for part in COUNTS} == COUNTS
    assert isinstance(loaded["train"].features["png"], hub.Image)
    flat = [{**row["json"], "image": row["png"], "label": row["cls"]} for row in rows]
    assert_rows_are_the_dataset(dataset, flat)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["parquet", "imagefolder", "croissant"])
def test_folder_is_read_by_datasets_with_typed_features(
    dataset: Bench, out: Path, hub: ModuleType, tmp_path: Path, name: str, streaming: bool
) -> None:
    folder = exported(dataset, out, name)
    cache = str(tmp_path / "cache")
    loaded = hub.load_dataset(str(folder), streaming=streaming, cache_dir=cache)
    features = loaded["test"].features
    assert features["label"] == hub.ClassLabel(names=["hero", "potion", "weapon"])
    assert isinstance(features["image"], hub.Image)
    assert features["caption"] == hub.Value("string")
    assert {part: sum(1 for _ in loaded[part]) for part in loaded} == COUNTS
    assert_rows_are_the_dataset(dataset, [row for part in COUNTS for row in loaded[part]])


@pytest.mark.parametrize("name", ["parquet", "imagefolder"])
def test_folder_is_read_by_the_loader_of_its_format(
    dataset: Bench, out: Path, hub: ModuleType, tmp_path: Path, name: str
) -> None:
    folder = exported(dataset, out, name, Options())
    cache = str(tmp_path / "cache")
    loaded = hub.load_dataset(name, data_dir=str(folder), cache_dir=cache)
    assert_rows_are_the_dataset(dataset, list(loaded["train"]))


def test_classes_of_an_image_folder_are_folders(dataset: Bench, out: Path) -> None:
    folder = exported(dataset, out, "imagefolder", Options())
    pictures = sorted(folder.glob("train/*/*.png"))
    assert len(pictures) == 100
    wanted = original(dataset)
    for path in pictures:
        record, pixels = wanted[path.stem]
        assert not record.class_name or path.parent.name == record.class_name
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(image), pixels)


def test_arrays_are_read_by_numpy(dataset: Bench, out: Path) -> None:
    folder = exported(dataset, out, "numpy", Options(background="#102030"))
    images, labels = (np.load(folder / name) for name in ("sprites.npy", "labels.npy"))
    assert (images.shape, images.dtype, labels.shape) == ((100, 32, 32, 3), np.uint8, (100, 3))
    names = json.loads((folder / "labels.json").read_text())["contexts"]
    for (record, pixels), image, row in zip(
        original(dataset).values(), images, labels, strict=True
    ):
        ground = Image.new("RGBA", (32, 32), "#102030")
        mixed = Image.alpha_composite(ground, Image.fromarray(pixels)).convert("RGB")
        assert np.array_equal(image, np.asarray(mixed))
        assert row.sum() == 1
        assert names[int(row.argmax())] == record.context_label


def test_arrays_are_read_by_the_training(dataset: Bench, out: Path) -> None:
    folder = exported(dataset, out, "numpy", Options())
    examples = read(folder, 32, classes=["potion", "hero-potion", "sword"])
    assert np.array_equal(examples.images[..., :3], np.load(folder / "sprites.npy"))
    counts = [int(count) for count in np.bincount(examples.labels)]
    assert sorted(counts) == [30, 30, 40]


def test_each_part_of_a_split_has_arrays_of_the_same_contexts(dataset: Bench, out: Path) -> None:
    folder = exported(dataset, out, "numpy")
    for part, count in COUNTS.items():
        assert np.load(folder / part / "sprites.npy").shape == (count, 32, 32, 3)
        assert np.load(folder / part / "labels.npy").shape == (count, 3)


@pytest.mark.parametrize("name", ["texturepacker", "aseprite", "aseprite-hash"])
def test_sprites_cut_out_by_the_atlas_are_the_originals(
    dataset: Bench, out: Path, name: str
) -> None:
    folder = exported(dataset, out, name)
    wanted = original(dataset)
    cut = {}
    for path in folder.glob("*-0.json"):
        atlas = json.loads(path.read_text())
        frames = atlas["frames"]
        if isinstance(frames, list):
            frames = {frame["filename"]: frame for frame in frames}
        with Image.open(folder / atlas["meta"]["image"]) as sheet:
            assert sheet.size == (atlas["meta"]["size"]["w"], atlas["meta"]["size"]["h"])
            for frame_name, frame in frames.items():
                x, y, w, h = (frame["frame"][side] for side in "xywh")
                assert (frame["rotated"], frame["trimmed"]) == (False, False)
                assert (w, h) == (frame["sourceSize"]["w"], frame["sourceSize"]["h"])
                cut[frame_name] = np.asarray(sheet.crop((x, y, x + w, y + h)))
    assert cut.keys() == {f"{key}.png" for key in wanted}
    assert all(np.array_equal(cut[f"{key}.png"], pixels) for key, (_, pixels) in wanted.items())


def test_tags_of_aseprite_name_the_contexts(dataset: Bench, out: Path) -> None:
    folder = exported(dataset, out, "aseprite", Options())
    atlas = json.loads((folder / "sprites-0.json").read_text())
    wanted = original(dataset)
    for tag in atlas["meta"]["frameTags"]:
        for frame in atlas["frames"][tag["from"] : tag["to"] + 1]:
            record, _ = wanted[frame["filename"].removesuffix(".png")]
            assert record.context_label == tag["name"]
    assert [tag["from"] for tag in atlas["meta"]["frameTags"]] == [0, 40, 70]
    assert atlas["meta"]["frameTags"][-1]["to"] == 99


def test_sheets_that_are_full_name_one_another(dataset: Bench, out: Path) -> None:
    folder = exported(dataset, out, "texturepacker", Options(scale=8))
    atlases = [json.loads(path.read_text()) for path in sorted(folder.glob("sprites-*.json"))]
    assert [len(atlas["frames"]) for atlas in atlases] == [64, 36]
    assert atlases[0]["meta"]["related_multi_packs"] == ["sprites-1.json"]
    with Image.open(folder / "sprites-0.png") as sheet:
        assert sheet.size == (2048, 2048)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its dependencies
def test_croissant_is_valid_and_its_records_are_read(dataset: Bench, out: Path) -> None:
    import mlcroissant

    folder = exported(dataset, out, "croissant")
    described = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    issues = described.metadata.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    rows = [
        {
            name.removeprefix("samples/"): value.decode() if isinstance(value, bytes) else value
            for name, value in record.items()
        }
        for record in described.records("samples")
    ]
    assert_rows_are_the_dataset(dataset, rows)


def test_larger_sprites_in_other_colours_have_the_hash_of_their_pixels(
    dataset: Bench, out: Path, hub: ModuleType, tmp_path: Path
) -> None:
    options = Options(scale=3, palette=("#ff0000", "#00ff00", "#0000ff"))
    folder = exported(dataset, out, "parquet", options)
    loaded = hub.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))["train"]
    wanted = original(dataset)
    for row in loaded:
        pixels = np.asarray(row["image"])
        assert pixels.shape == (96, 96, 4)
        assert pixels_sha256(pixels) == row["sha256"]
        small = pixels[::3, ::3]
        assert np.array_equal(small.repeat(3, axis=0).repeat(3, axis=1), pixels)
        assert np.array_equal(small[..., 3], wanted[row["key"]][1][..., 3])
        seen = {tuple(colour) for colour in small[small[..., 3] > 0][:, :3].tolist()}
        assert seen <= {(255, 0, 0), (0, 255, 0), (0, 0, 255)}


def test_pictures_are_copied_byte_for_byte_where_no_option_changes_them(
    dataset: Bench, out: Path, hub: ModuleType, tmp_path: Path
) -> None:
    folder = exported(dataset, out, "parquet", Options())
    loaded = hub.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))["train"]
    raw = loaded.cast_column("image", hub.Image(decode=False))
    pictures = {row["key"]: row["image"]["bytes"] for row in raw}
    for number in range(len(dataset.manifest().shards)):
        for record, picture in dataset.records(number):
            assert pictures[record.key] == picture
            with Image.open(BytesIO(picture)) as image:
                assert image.mode == "RGBA"
