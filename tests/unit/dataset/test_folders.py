import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.dataset.folders import MARKER, TABLE, refuse_another, write_folders
from core.dataset.reader import sprites
from core.dataset.record import pixels_sha256
from core.errors import ConflictError, CorruptError, NotFoundError
from tests.unit.dataset.bench import Bench, folder_store, job

ALIKE = """
name: alike
seed: 7
contexts:
  - {mixture: {hero: 2}, samples: 2}
  - {mixture: {hero: -2}, samples: 2}
outputs: {shard_samples: 32}
"""


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / TABLE).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_sprites_are_read_in_order(dataset: Bench) -> None:
    read = list(sprites(dataset.source, dataset.manifest()))
    assert [record.number for record, _ in read] == list(range(100))
    assert all(record.sha256 == pixels_sha256(pixels) for record, pixels in read)


def test_damaged_shard_is_noticed_while_reading(dataset: Bench) -> None:
    path = dataset.folder / dataset.manifest().shards[0].name
    raw = bytearray(path.read_bytes())
    raw[520] ^= 1  # inside the first picture
    path.write_bytes(raw)
    with pytest.raises(CorruptError):
        list(sprites(dataset.source, dataset.manifest()))


def test_shard_of_other_sound_sprites_is_noticed_while_reading(dataset: Bench) -> None:
    one, two = (dataset.folder / shard.name for shard in dataset.manifest().shards[:2])
    one.write_bytes(two.read_bytes())
    with pytest.raises(CorruptError, match="not the file"):
        list(sprites(dataset.source, dataset.manifest()))


def test_each_context_gets_a_folder_of_png_files(dataset: Bench, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    out = write_folders(dataset.source, tmp_path / "out", lambda *n: seen.append(n))
    folders = {path.name: len(list(path.iterdir())) for path in out.iterdir() if path.is_dir()}
    assert folders == {"potion": 40, "hero-0-6-potion": 30, "a-flaming-sword-not-blue": 30}
    assert (out / "potion" / "potion-000039.png").exists()
    assert seen[-1] == (100, 100)


def test_folder_keeps_the_request_whose_sprites_are_there(dataset: Bench, tmp_path: Path) -> None:
    out, manifest = tmp_path / "out", dataset.manifest()
    refuse_another(out, "0" * 64)
    write_folders(dataset.source, out)
    refuse_another(out, manifest.request_digest)
    with pytest.raises(ConflictError, match="another request"):
        refuse_another(out, "0" * 64)
    older = {"dataset_digest": manifest.dataset_digest}
    (out / MARKER).write_text(json.dumps(older))
    refuse_another(out, "0" * 64)
    write_folders(dataset.source, out)


def test_contexts_that_are_written_alike_get_folders_of_their_own(tmp_path: Path) -> None:
    store = folder_store(tmp_path / "store")
    bench = job(store, tmp_path / "store", ALIKE)
    bench.render_all()
    bench.assemble()
    out = write_folders(bench.source, tmp_path / "out")
    folders = sorted(path.name for path in out.iterdir() if path.is_dir())
    _, second = (context for context, _ in bench.plan.contexts())
    assert folders == ["2-hero", f"2-hero-{second.id}"]
    assert len(list(out.rglob("*.png"))) == 4


def test_table_names_each_file_with_its_caption_and_pixels(dataset: Bench, tmp_path: Path) -> None:
    out = write_folders(dataset.source, tmp_path / "out")
    rows = table(out)
    assert len(rows) == len(list(out.rglob("*.png"))) == 100
    for row in rows:
        with Image.open(out / row["file_name"]) as image:
            assert pixels_sha256(np.asarray(image)) == row["sha256"]
    assert {row["caption"] for row in rows} >= {"potion", "a flaming sword"}


def test_writing_again_gives_the_same_files(dataset: Bench, tmp_path: Path) -> None:
    out = write_folders(dataset.source, tmp_path / "out")
    rows = table(out)
    (out / rows[0]["file_name"]).unlink()
    write_folders(dataset.source, out)
    assert table(out) == rows
    assert (out / rows[0]["file_name"]).exists()


def test_folder_with_other_files_is_refused_untouched(dataset: Bench, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(ConflictError, match="not empty"):
        write_folders(dataset.source, out)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_folder_of_another_dataset_is_refused(dataset: Bench, tmp_path: Path) -> None:
    out = write_folders(dataset.source, tmp_path / "out")
    dataset.forge(dataset_digest="0" * 64)
    with pytest.raises(ConflictError, match="not empty"):
        write_folders(dataset.source, out)


def test_unfinished_dataset_writes_nothing(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        write_folders(bench.source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
