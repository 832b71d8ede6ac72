"""Samples that cannot be rendered, by real workers: found, left out, named, and taken again."""

import json
from collections.abc import Callable

import pytest

from core.dataset import png
from core.dataset.layout import dataset_prefix
from core.dataset.manifest import Manifest
from core.dataset.source import StoreSource, read_manifest
from core.dataset.verify import verify
from core.ledger import events, jobs, shards
from core.ledger.jobs import Job
from core.ledger.states import JobState
from core.request.plan import Plan
from orchestrator import admission, trust
from orchestrator.finalizer import Finalizer
from orchestrator.service import Service
from tests.integration.workers.floor import Floor, until

REQUEST = json.dumps(
    {
        "contexts": [{"class": "potion", "samples": 64}],
        "outputs": {"shard_samples": 32, "preview": False},
    }
)
PATIENCE = 60.0


def submit(floor: Floor, samples: int = 64) -> tuple[Plan, Job]:
    text = REQUEST.replace("64", str(samples))
    made, model = admission.planned(text, floor.settings, lambda: floor.ledger)
    job, _ = jobs.add(floor.ledger, admission.admitted(made, model, floor.settings), again=True)
    counts = [made.shard(number).count for number in range(made.shard_count)]
    assert shards.plan_rows(floor.ledger, job.id, 0, counts)
    return made, job


def faults(made: Plan, found: dict[int, str]) -> dict[str, str]:
    """The faults by noise key of those by the sample's number."""
    samples = [each for n in range(made.shard_count) for each in made.samples(made.shard(n))]
    return {samples[number].noise_key.hex(): how for number, how in found.items()}


def drive(floor: Floor, job: Job, *to: JobState) -> Job:
    """Hint at what waits and take back what is lost until the job is there."""

    def there() -> bool:
        shards.expire(floor.ledger)
        floor.send(job)
        return floor.now(job).state in to

    until(there, f"{to}", PATIENCE)
    return floor.now(job)


def finish(floor: Floor, job: Job) -> tuple[Job, Manifest]:
    drive(floor, job, JobState.FINALIZING)
    Finalizer(floor.ledger, floor.store).step()
    source = StoreSource(floor.store, job.id)
    assert verify(source).problems == ()
    return floor.now(job), read_manifest(source)


def kinds(floor: Floor, job: Job) -> list[str]:
    return [event.kind for event in events.of(floor.ledger, job.id)]


@pytest.fixture
def whole(floor: Floor) -> Callable[[], str | None]:
    """The digest of the dataset when nothing goes wrong."""

    def make() -> str | None:
        _, job = submit(floor)
        return finish(floor, job)[0].dataset_digest

    return make


@pytest.mark.parametrize("by_repair", [False, True])
def test_failing_samples_are_named_and_a_retry_fills_them_to_the_undisturbed_digest(
    floor: Floor, whole: Callable[[], str | None], by_repair: bool
) -> None:
    made, job = submit(floor)
    bad = floor.faulty_worker(faults(made, {3: "raise", 17: "raise"}))
    done, manifest = finish(floor, job)
    assert [sample.number for sample in manifest.quarantined] == [3, 17]
    assert "not finite" in manifest.quarantined[0].reason
    assert (done.state, manifest.samples) == (JobState.SUCCEEDED, 62)
    assert done.error
    assert all(sample.key in done.error for sample in manifest.quarantined)
    assert kinds(floor, job).count("sample.quarantined") == 2
    bad.end()
    floor.worker()
    with Service(floor.settings) as service:
        if by_repair:
            told, _ = trust.repair(service, job.id)
            assert (told.left_out, told.retried, told.rendered) == (2, job.id, 0)
        again = service.job(job.id) if by_repair else service.retry(job.id)
    assert (again.state, again.shards_done, again.samples_done) == (JobState.RUNNING, 1, 32)
    done, manifest = finish(floor, job)
    assert (manifest.quarantined, manifest.samples, done.error) == ((), 64, None)
    assert done.dataset_digest == whole()


def test_retry_takes_over_a_shard_that_a_repair_has_packed_otherwise(
    floor: Floor, whole: Callable[[], str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, job = submit(floor)
    bad = floor.faulty_worker(faults(made, {3: "raise"}))
    _, manifest = finish(floor, job)
    bad.end()
    lost = manifest.shards[1]
    with Service(floor.settings) as service:
        service.store.delete(dataset_prefix(job.id) + lost.name)
        monkeypatch.setattr(png, "_LEVEL", 1)
        told, _ = trust.repair(service, job.id)
        assert (told.left_out, told.retried, told.rendered) == (1, job.id, lost.samples)
        monkeypatch.undo()
    floor.worker()
    done, manifest = finish(floor, job)
    assert manifest.shards[1].sha256 != lost.sha256
    assert done.bytes_done == sum(shard.size for shard in manifest.shards)
    assert done.dataset_digest == whole()


def test_sample_that_kills_its_worker_is_found_and_left_out(floor: Floor) -> None:
    made, job = submit(floor, samples=32)
    floor.faulty_worker(faults(made, {5: "kill"}), lease_seconds=3.0)
    done, manifest = finish(floor, job)
    assert [sample.number for sample in manifest.quarantined] == [5]
    assert "while this sample was rendered alone" in manifest.quarantined[0].reason
    assert done.samples_done == 31
    assert kinds(floor, job).count("shard.expired") == 4


def test_job_of_which_nothing_can_be_rendered_fails(floor: Floor) -> None:
    made, job = submit(floor, samples=32)
    floor.faulty_worker(faults(made, dict.fromkeys(range(32), "raise")))
    done = drive(floor, job, JobState.FAILED)
    assert "no sample could be rendered" in (done.error or "")


def test_shard_that_ran_out_of_memory_waits_for_a_larger_worker_and_says_so(floor: Floor) -> None:
    made, job = submit(floor, samples=32)
    floor.faulty_worker(faults(made, {0: "memory"}))
    floor.send(job)
    until(lambda: "shard.out_of_memory" in kinds(floor, job), "out of memory")
    with Service(floor.settings) as service:
        assert service.status(job.id).waits_for.startswith("a worker of its class with more memory")
        service.retry(job.id)
        assert not service.status(job.id).waits_for
