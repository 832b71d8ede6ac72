from pathlib import Path
from typing import BinaryIO

import pytest

from core.dataset.download import download
from core.dataset.layout import INDEX, MANIFEST
from core.dataset.source import FolderSource, StoreSource
from core.dataset.verify import verify
from core.errors import ConflictError, CorruptError, NotFoundError
from tests.unit.dataset.bench import Bench


class CountingSource(StoreSource):
    """A store's dataset that remembers which files were opened."""

    def __init__(self, dataset: Bench) -> None:
        super().__init__(dataset.store, dataset.finished.job)
        self.opened: list[str] = []

    def open(self, name: str) -> BinaryIO:
        self.opened.append(name)
        return super().open(name)


@pytest.fixture
def source(dataset: Bench) -> CountingSource:
    return CountingSource(dataset)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_downloaded_dataset_verifies(source: CountingSource, out: Path) -> None:
    seen: list[tuple[int, int]] = []
    manifest = download(source, out, lambda done, total: seen.append((done, total)))
    assert verify(FolderSource(out)).ok
    total = sum(manifest.sizes().values())
    assert seen[-1] == (total, total)
    assert source.opened[0] == MANIFEST


def test_files_that_are_there_are_not_fetched_again(source: CountingSource, out: Path) -> None:
    manifest = download(source, out)
    damaged = out / manifest.shards[1].name
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    (out / INDEX).unlink()
    source.opened.clear()
    download(source, out)
    assert source.opened == [MANIFEST, INDEX, manifest.shards[1].name]
    assert verify(FolderSource(out)).ok


def test_download_that_was_cut_off_goes_on(source: CountingSource, out: Path) -> None:
    class CutError(Exception):
        pass

    def cut(done: int, total: int) -> None:
        if done > total // 2:
            raise CutError

    with pytest.raises(CutError):
        download(source, out, cut)
    assert not (out / MANIFEST).exists()
    source.opened.clear()
    manifest = download(source, out)
    assert 1 < len(source.opened) < 1 + len(manifest.parts())
    assert verify(FolderSource(out)).ok


def test_damaged_store_leaves_no_manifest(
    dataset: Bench, source: CountingSource, out: Path
) -> None:
    path = dataset.folder / dataset.manifest().shards[2].name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptError, match="shards/000002"):
        download(source, out)
    assert not (out / MANIFEST).exists()
    assert not list(out.glob(".*"))


def test_folder_with_other_files_is_refused_untouched(source: CountingSource, out: Path) -> None:
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(ConflictError, match=r"thesis\.txt"):
        download(source, out)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_unfinished_dataset_is_not_found(bench: Bench, out: Path) -> None:
    with pytest.raises(NotFoundError):
        download(StoreSource(bench.store, bench.finished.job), out)
    assert not out.exists()
