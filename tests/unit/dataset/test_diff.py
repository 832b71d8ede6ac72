from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.dataset.diff import Diff, diff
from core.dataset.layout import CARD
from tests.unit.dataset.bench import REQUEST, Bench, folder_store, job

Made = Callable[..., Bench]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def make(name: str, text: str = REQUEST) -> Bench:
        bench = job(folder_store(tmp_path / name), tmp_path / name, text)
        bench.render_all()
        bench.assemble()
        return bench

    return make


def counts(found: Diff) -> tuple[int, ...]:
    return tuple(found.count(kind) for kind in ("same", "changed", "added", "removed"))


def test_dataset_equals_its_copy_whatever_its_card_says(dataset: Bench, tmp_path: Path) -> None:
    other = dataset.copy(tmp_path / "other")
    (other.folder / CARD).write_text("mine")
    found = diff(dataset.source, other.source)
    assert found.equal
    assert counts(found) == (100, 0, 0, 0)
    assert found.request == {}
    assert found.provenance == {}


def test_shards_cut_otherwise_are_the_same_samples(made: Made) -> None:
    found = diff(made("one").source, made("two", REQUEST.replace("32", "50")).source)
    assert found.equal
    assert found.request == {"outputs.shard_samples": (32, 50)}


def test_other_seed_changes_every_sample_and_adds_none(made: Made) -> None:
    found = diff(made("one").source, made("two", REQUEST.replace("seed: 7", "seed: 8")).source)
    assert not found.equal
    assert counts(found) == (0, 100, 0, 0)
    assert found.request == {"seed": (7, 8)}
    assert set(found.provenance) == {"dataset_digest", "request_digest"}


def test_samples_are_counted_by_context(made: Made) -> None:
    text = REQUEST.replace("samples: 40", "samples: 42").replace(
        "  - {text: a flaming sword, negative: {text: blue}, samples: 30}\n", ""
    )
    found = diff(made("one").source, made("two", text).source)
    assert found.contexts == {
        '"a flaming sword", not "blue"': {"removed": 30},
        "hero + 0.6 potion": {"same": 30},
        "potion": {"same": 40, "added": 2},
    }
    assert len(found.keys["removed"]) == 30
    assert [key[-6:] for key in found.keys["added"]] == ["000040", "000041"]
    assert found.request['samples of {"class": "potion"}'] == (40, 42)


def test_other_numerics_class_is_told_part_by_part(made: Made, tmp_path: Path) -> None:
    one, two = made("one"), job(folder_store(tmp_path / "two"), tmp_path / "two", REQUEST)
    two.finished = replace(two.finished, numerics={"device": "H200", "dtype": "float32"})
    two.render_all()
    two.assemble()
    found = diff(one.source, two.source)
    assert found.equal
    assert found.provenance == {"numerics.device": ("cpu", "H200")}
