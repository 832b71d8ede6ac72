"""Use cases about finished datasets that need no worker."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from core import weights
from core.dataset import assembly
from core.dataset.comparison import Comparison
from core.dataset.layout import MANIFEST, dataset_prefix
from core.errors import ConflictError, NotFoundError, RequestError, SpritemillError, UsageError
from core.ledger import jobs
from core.ledger.states import JobState
from core.request.load import parse
from core.request.plan import digest, plan
from core.settings import Settings
from orchestrator import extension, trust
from orchestrator.service import Service
from tests.unit.dataset.bench import Bench, finished_dataset, folder_store, job


@pytest.fixture
def dataset(tmp_path: Path) -> Bench:
    return finished_dataset(tmp_path / "there")


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(Settings(home=tmp_path / "home", owner="ann", renderer="fake"))


def test_sample_is_found_by_number_and_by_key(dataset: Bench, service: Service) -> None:
    shown = trust.show(service, f"{dataset.folder}/33")
    assert (shown.record.number, shown.shard) == (33, dataset.manifest().shards[1].name)
    assert (shown.worker, shown.attempt) == ("", 0), "no ledger here knows it"
    assert trust.show(service, f"{dataset.folder}/{shown.record.key}") == shown


@pytest.mark.parametrize("which", ["100", "potion-0-000000"])
def test_sample_that_is_not_there_is_told(dataset: Bench, service: Service, which: str) -> None:
    with pytest.raises(NotFoundError, match=which):
        trust.show(service, f"{dataset.folder}/{which}")


@pytest.mark.parametrize("share", ["0", "0%", "101%", "101", "-1", "many", "%", "1.5"])
def test_share_that_is_none_is_refused(dataset: Bench, service: Service, share: str) -> None:
    with pytest.raises(UsageError, match="regenerate = "):
        trust.spot_check(service, str(dataset.folder), share, 0)


def test_weights_that_nobody_has_cannot_render(dataset: Bench, service: Service) -> None:
    with pytest.raises(SpritemillError, match="cannot be rendered again here: weights = "):
        trust.spot_check(service, str(dataset.folder), "1%", 0)


def test_difference_on_another_numerics_class_is_no_damage() -> None:
    found = Comparison(samples=2, equal=1, largest=3, unequal=["potion-1"])
    [problem] = trust.damage(found)
    assert (problem.kind, problem.where) == ("regenerate", "potion-1")
    found.differs = {"device": ("cpu", "H200")}
    assert trust.damage(found) == []


def test_address_that_names_no_dataset_is_refused(service: Service) -> None:
    with pytest.raises(UsageError, match="datasets/JOB"):
        service.datasets.open("s3://bucket/prefix")


@pytest.fixture
def here(dataset: Bench, service: Service) -> Bench:
    """The same sprites as a dataset of the bundled model, in the mill's store."""
    spec, sha256 = weights.read_spec(weights.bundled()), weights.sha256(weights.bundled())
    root = Path(service.settings.store)
    text = json.dumps({"samples": 40, "contexts": [{"class": "hero"}]})
    made = job(folder_store(root), root, text)
    made.plan = plan(parse(text), spec)
    made.finished = assembly.Finished(
        job=made.finished.job,
        name="heroes",
        request_text=text,
        request_digest=digest(made.plan, sha256),
        weights=sha256,
        spec=spec,
        numerics={"renderer": "fake"},
        created=0.0,
    )
    made.render_all()
    assembly.clean(made.store, made.assemble())
    return made


def test_extension_asks_for_what_is_new(here: Bench, service: Service) -> None:
    asked = extension.text(service, str(here.folder), None, 50)
    with service:
        submitted = service.submit(asked)
        assert (submitted.job.total_samples, submitted.created) == (10, True)
        assert not service.submit(asked).created


def test_request_that_claims_another_parent_is_refused(here: Bench, service: Service) -> None:
    asked = json.loads(extension.text(service, str(here.folder), None, 50))
    for field, value in (("samples", 39), ("digest", "0" * 64), ("job", "zzzzzzzzzzzz")):
        forged = {**asked, "parent": {**asked["parent"], field: value}}
        with service, pytest.raises(RequestError, match="parent"):
            service.check(json.dumps(forged))
    other = {**asked, "contexts": [{"class": "potion", "samples": 40}, *asked["contexts"][1:]]}
    with service, pytest.raises(RequestError):
        service.check(json.dumps(other))


def test_parent_that_is_needed_is_not_removed(here: Bench, service: Service) -> None:
    with service:
        parent = service.submit(here.finished.request_text).job
        for state in (JobState.RUNNING, JobState.FINALIZING):
            assert jobs.move(service.ledger, parent.id, state)
        found = here.manifest().dataset_digest
        jobs.move(service.ledger, parent.id, JobState.SUCCEEDED, dataset_digest=found)
        child = service.submit(extension.text(service, str(here.folder), None, 50)).job
        with pytest.raises(ConflictError, match=child.id):
            service.remove(parent.id)
        service.cancel(child.id)
        assert service.remove(parent.id).id == parent.id


def test_dataset_without_a_manifest_is_not_extended(here: Bench, service: Service) -> None:
    (here.folder / MANIFEST).unlink()
    with pytest.raises(NotFoundError):
        extension.text(service, str(here.folder), None, 50)


@pytest.mark.parametrize(("samples", "limit"), [(40, 10**8), (50, 49)])
def test_refused_extension_copies_nothing(
    here: Bench, service: Service, tmp_path: Path, samples: int, limit: int
) -> None:
    elsewhere = tmp_path / "copy"
    shutil.move(here.folder, elsewhere)
    limited = Service(replace(service.settings, max_samples=limit))
    with pytest.raises(RequestError):
        extension.text(limited, str(elsewhere), None, samples)
    assert list(service.store.list("")) == []


def test_dataset_whose_model_is_not_here_is_not_copied(
    here: Bench, service: Service, tmp_path: Path
) -> None:
    here.forge(weights="ab" * 32)
    elsewhere = tmp_path / "copy"
    shutil.move(here.folder, elsewhere)
    with pytest.raises(RequestError, match="model = abab"):
        extension.text(service, str(elsewhere), None, 50)
    assert list(service.store.list("")) == []


def test_request_with_another_parent_than_the_dataset_is_refused(
    here: Bench, service: Service
) -> None:
    digest = here.manifest().dataset_digest
    wanted = {"samples": 50, "contexts": [{"class": "hero"}]}
    with service:
        other = service.submit(here.finished.request_text).job.id
        for state in (JobState.RUNNING, JobState.FINALIZING):
            assert jobs.move(service.ledger, other, state)
        assert jobs.move(service.ledger, other, JobState.SUCCEEDED, dataset_digest="d" * 64)
        for parent in (here.finished.job, digest):
            asked = json.dumps({**wanted, "parent": parent})
            assert extension.text(service, str(here.folder), asked, None)
        for parent in (other, "latest", "d" * 64):
            asked = json.dumps({**wanted, "parent": parent})
            with pytest.raises(RequestError, match="the dataset to extend is"):
                extension.text(service, str(here.folder), asked, None)


def test_dataset_from_elsewhere_comes_into_the_store(
    here: Bench, service: Service, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "copy"
    shutil.move(here.folder, elsewhere)
    asked = extension.text(service, str(elsewhere), None, 50)
    assert json.loads(asked)["parent"]["job"] == here.finished.job
    assert service.store.head(dataset_prefix(here.finished.job) + MANIFEST)
