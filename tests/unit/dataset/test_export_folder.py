"""Which folders an export may take."""

from pathlib import Path

import pytest

from core.dataset.export.claim import MARKER
from core.dataset.export.options import Options
from core.errors import ConflictError, RequestError
from tests.unit.dataset.bench import Bench
from tests.unit.dataset.test_export import exported, files


def test_folder_with_other_files_is_refused_untouched(dataset: Bench, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    out = tmp_path
    with pytest.raises(ConflictError, match="no part of an export"):
        exported(dataset.source, out)
    assert not (out / MARKER).exists()


def test_folder_with_files_that_no_store_would_name_is_refused(
    dataset: Bench, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "holiday photo.jpg").write_text("mine")
    with pytest.raises(ConflictError, match="it holds holiday photo"):
        exported(dataset.source, out)
    assert not (out / MARKER).exists()


def test_refused_export_leaves_the_folder_to_the_mended_command(
    dataset: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with pytest.raises(RequestError, match="characters"):
        exported(dataset.source, out, Options(name="{key}-" + "x" * 90))
    monkeypatch.setattr("core.dataset.export.arrays.MOST_LABEL_BYTES", 299)
    with pytest.raises(RequestError, match="300 bytes"):
        exported(dataset.source, out, name="numpy")
    assert exported(dataset.source, out).written


@pytest.mark.parametrize("other", [Options(scale=2), Options(where="index < 5")])
def test_folder_of_another_export_is_refused(
    dataset: Bench, tmp_path: Path, other: Options
) -> None:
    out = tmp_path / "out"
    exported(dataset.source, out)
    before = files(out)
    with pytest.raises(ConflictError, match="it holds an export"):
        exported(dataset.source, out, other)
    with pytest.raises(ConflictError, match="it holds an export"):
        exported(dataset.source, out, name="webdataset")
    assert files(out) == before
