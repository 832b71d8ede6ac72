"""Datasets at each stage, made once and copied for each test."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.dataset import assembly
from tests.unit.dataset.bench import REQUEST, Bench, folder_store, job


@pytest.fixture
def bench_of(tmp_path: Path) -> Callable[[str], Bench]:
    return lambda text: job(folder_store(tmp_path / "store"), tmp_path / "store", text)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A job whose shards are all done: copy it before you change it."""
    root = tmp_path_factory.mktemp("rendered")
    made = job(folder_store(root), root, REQUEST)
    made.render_all()
    return made


@pytest.fixture(scope="session")
def assembled(tmp_path_factory: pytest.TempPathFactory, rendered: Bench) -> Bench:
    """A finished dataset: copy it before you change it."""
    made = rendered.copy(tmp_path_factory.mktemp("assembled") / "store")
    assembly.clean(made.store, made.assemble())
    return made


@pytest.fixture
def bench(tmp_path: Path, rendered: Bench) -> Bench:
    """A job whose shards are all done."""
    return rendered.copy(tmp_path / "store")


@pytest.fixture
def dataset(tmp_path: Path, assembled: Bench) -> Bench:
    """A finished dataset."""
    return assembled.copy(tmp_path / "store")
