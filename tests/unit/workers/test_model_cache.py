"""Weights are found by their hash, wherever they lie, and never used with another."""

import hashlib
import json
from pathlib import Path

import pytest

from core import weights
from core.errors import ModelError, StoreError
from core.settings import Settings
from core.storage.memory import MemoryStore
from core.weights.spec import ModelSpec
from workers.model_cache import ModelCache


def header(spec: ModelSpec) -> bytes:
    """A weights file that describes a model and holds no tensors."""
    text = json.dumps({"__metadata__": {weights.METADATA_KEY: spec.model_dump_json()}}).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, renderer="fake")


def test_registered_weights_are_fetched_once_and_kept(
    settings: Settings, store: MemoryStore, spec: ModelSpec
) -> None:
    data = header(spec)
    name = hashlib.sha256(data).hexdigest()
    store.put(f"models/{name}.safetensors", data)
    assert ModelCache(settings, store).spec(name) == spec
    store.delete(f"models/{name}.safetensors")
    assert ModelCache(settings, store).spec(name) == spec


def test_bundled_weights_need_no_store(settings: Settings, store: MemoryStore) -> None:
    name = weights.sha256(weights.bundled())
    assert ModelCache(settings, store).spec(name) == weights.read_spec(weights.bundled())


def test_weights_with_another_hash_are_refused_and_not_kept(
    settings: Settings, store: MemoryStore, spec: ModelSpec
) -> None:
    name = "0" * 64
    store.put(f"models/{name}.safetensors", header(spec))
    with pytest.raises(ModelError, match="have the hash"):
        ModelCache(settings, store).spec(name)
    assert not list((settings.home / "cache").iterdir())


def test_damaged_file_in_the_cache_is_fetched_again(
    settings: Settings, store: MemoryStore, spec: ModelSpec
) -> None:
    data = header(spec)
    name = hashlib.sha256(data).hexdigest()
    store.put(f"models/{name}.safetensors", data)
    cached = settings.home / "cache" / f"{name}.safetensors"
    cached.parent.mkdir()
    cached.write_bytes(data[:-1])
    assert ModelCache(settings, store).spec(name) == spec


def test_unknown_weights_are_missed_by_name(settings: Settings, store: MemoryStore) -> None:
    with pytest.raises(ModelError, match="0000000000000000: neither"):
        ModelCache(settings, store).renderer("0" * 64)


def test_cache_that_cannot_be_made_is_the_disks_fault(
    settings: Settings, store: MemoryStore, spec: ModelSpec
) -> None:
    data = header(spec)
    name = hashlib.sha256(data).hexdigest()
    store.put(f"models/{name}.safetensors", data)
    (settings.home / "cache").touch()
    with pytest.raises(StoreError, match="cache"):
        ModelCache(settings, store).spec(name)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64])
def test_name_that_is_no_hash_is_refused(settings: Settings, store: MemoryStore, name: str) -> None:
    with pytest.raises(ModelError, match="no SHA-256"):
        ModelCache(settings, store).spec(name)


def test_model_stays_warm(settings: Settings, store: MemoryStore) -> None:
    models, name = ModelCache(settings, store), weights.sha256(weights.bundled())
    assert models.renderer(name) is models.renderer(name)
