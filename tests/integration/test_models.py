"""Registered models: from a file into store and ledger, to workers, and out again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core import weights
from core.errors import ConflictError, ModelError, NotFoundError, RequestError, UsageError
from core.storage import connect
from orchestrator.mill import Mill
from orchestrator.models import weights_key
from orchestrator.service import Service
from tests.conftest import Bucket
from tests.integration.yard import settings
from workers.model_cache import ModelCache

REQUEST = '{{"model": "{}", "samples": 3, "contexts": [{{"class": "potion"}}]}}'


def model(path: Path, name: str, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """The bundled model's file under another name, its header changed."""
    data = weights.bundled().read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    spec = json.loads(header["__metadata__"][weights.METADATA_KEY])
    header["__metadata__"][weights.METADATA_KEY] = json.dumps({**spec, "name": name})
    if change:
        change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    return path


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(settings(tmp_path / "home"))


def test_registered_model_is_listed_and_found_by_name_and_hash(
    service: Service, tmp_path: Path
) -> None:
    path = model(tmp_path / "x.safetensors", "forest-32")
    with service:
        added = service.add_model(path)
        assert added.weights == weights.sha256(path)
        assert [one.spec.name for one in service.models()] == ["dungeon-32", "forest-32"]
        for name in ("forest-32", added.weights, added.weights[:8]):
            assert service.model(name) == added
            assert service.check(REQUEST.format(name)).spec == added.spec
        assert connect(service.settings).get(weights_key(added.weights)) == path.read_bytes()
        with pytest.raises(NotFoundError, match="forest-32"):
            service.model("forest")
        with pytest.raises(RequestError, match="there is no such model"):
            service.check(REQUEST.format(added.weights[:7]))


def test_model_may_be_named_otherwise_than_its_file_says(service: Service, tmp_path: Path) -> None:
    path = model(tmp_path / "x.safetensors", "dungeon-32")
    with service:
        with pytest.raises(ConflictError, match="bundled model's"):
            service.add_model(path)
        with pytest.raises(UsageError, match="a-z"):
            service.add_model(path, "Forest / 32")
        assert service.models()[1:] == []
        assert service.add_model(path, "forest-32").spec.name == "forest-32"
        with pytest.raises(ConflictError, match="registered already, as forest-32"):
            service.add_model(path, "desert-32")


def test_newest_of_a_name_answers(service: Service, tmp_path: Path) -> None:
    def marked(header: dict[str, Any]) -> None:
        header["__metadata__"]["made"] = "again"

    with service:
        first = service.add_model(model(tmp_path / "1", "forest-32"))
        second = service.add_model(model(tmp_path / "2", "forest-32", marked))
        assert service.model("forest-32") == second
        assert service.model(first.weights) == first
        assert service.add_model(tmp_path / "1") == first
        assert service.model("forest-32") == first, "it was said last"


def _torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _pickle(path: Path) -> None:
    path.write_bytes(b"\x80\x04\x95" + bytes(100))


def _header_only(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_torn, "its tensors need"),
        (_longer, "its tensors need"),
        (_pickle, "does not begin with a header"),
        (_header_only, "ends within its header"),
    ],
)
def test_what_is_no_whole_model_is_refused_and_not_kept(
    service: Service, tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    path = model(tmp_path / "x.safetensors", "forest-32")
    spoil(path)
    with service:
        with pytest.raises(ModelError, match=told):
            service.add_model(path)
        assert len(service.models()) == 1
    assert not list((tmp_path / "home").rglob("*.safetensors"))


def _undescribed(header: dict[str, Any]) -> None:
    del header["__metadata__"]


def _overlapping(header: dict[str, Any]) -> None:
    names = [name for name in header if name != "__metadata__"]
    header[names[1]]["data_offsets"] = header[names[0]]["data_offsets"]


def _unknown_dtype(header: dict[str, Any]) -> None:
    header[next(name for name in header if name != "__metadata__")]["dtype"] = "F3"


@pytest.mark.parametrize("change", [_undescribed, _overlapping, _unknown_dtype])
def test_headers_that_describe_no_model_are_refused(
    service: Service, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    with service, pytest.raises(ModelError):
        service.add_model(model(tmp_path / "x.safetensors", "forest-32", change))


def test_the_bundled_model_is_neither_added_nor_removed(service: Service) -> None:
    with service:
        with pytest.raises(ConflictError, match="bundled model"):
            service.add_model(weights.bundled())
        with pytest.raises(ConflictError, match="stays"):
            service.remove_model("dungeon-32")


def test_removed_model_is_gone_from_ledger_and_store(service: Service, tmp_path: Path) -> None:
    with service:
        added = service.add_model(model(tmp_path / "x.safetensors", "forest-32"))
        service.remove_model(added.weights[:12])
        assert [one.spec.name for one in service.models()] == ["dungeon-32"]
        assert connect(service.settings).head(weights_key(added.weights)) is None
        with pytest.raises(NotFoundError):
            service.remove_model("forest-32")


def test_model_stays_while_a_job_that_is_not_over_draws_with_it(
    service: Service, tmp_path: Path
) -> None:
    with service:
        service.add_model(model(tmp_path / "x.safetensors", "forest-32"))
        job = service.submit(REQUEST.format("forest-32")).job
        with pytest.raises(ConflictError, match=f"job {job.id} is not over"):
            service.remove_model("forest-32")
        service.cancel(job.id)
        service.remove_model("forest-32")


def test_workers_render_with_a_registered_model(tmp_path: Path) -> None:
    with Mill(settings(tmp_path), workers=1) as mill:
        added = mill.service.add_model(model(tmp_path / "x.safetensors", "forest-32"))
        job = mill.service.submit(REQUEST.format("forest-32")).job
        mill.service.wait(job.id)
        assert mill.service.datasets.verify(job.id).ok
    assert (job.model, job.weights) == ("forest-32", added.weights)
    assert (tmp_path / "cache" / f"{added.weights}.safetensors").is_file()


def test_store_of_a_fleet_has_the_bundled_weights_for_workers_that_bundle_others(
    fresh_redis: str, tmp_path: Path
) -> None:
    at = settings(tmp_path, broker_url=fresh_redis, broker_prefix=f"{tmp_path.name}:")
    ours = weights.bundled()
    with Mill(at, workers=0):
        assert connect(at).get(weights_key(weights.sha256(ours))) == ours.read_bytes()


def test_workers_elsewhere_fetch_it_from_s3(s3: Bucket, tmp_path: Path) -> None:
    path = model(tmp_path / "x.safetensors", "forest-32")
    places = {"store_url": s3.settings.store_url, "s3_endpoint": s3.settings.s3_endpoint}
    here, elsewhere = (settings(tmp_path / name, **places) for name in ("here", "elsewhere"))
    with Service(here) as service:
        added = service.add_model(path)
        cache = ModelCache(elsewhere, connect(elsewhere))
        assert cache.spec(added.weights).name == "forest-32"
        service.remove_model("forest-32")
    assert s3.objects() == []
    assert cache.spec(added.weights).name == "forest-32", "what was fetched is kept"
