"""What is swept of jobs that are over, and what never is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.dataset.layout import dataset_prefix, part_key, shard_key
from core.errors import ConflictError, UnreachableError
from core.ledger import leftovers
from core.ledger.states import JobState
from orchestrator.sweeper import Sweeper
from tests.unit.orchestrator.test_retention import Yard, orphans


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path / "home")
    yield made
    made.service.close()


def sweep(yard: Yard, *, leads: bool = True) -> None:
    Sweeper(yard.service.ledger, yard.service.store, lambda: leads).step()


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_orphans_of_a_job_that_is_over_go_and_what_its_rows_name_stays(
    yard: Yard, state: JobState
) -> None:
    job = yard.ended(state)
    named = yard.keys()
    yard.put(*orphans(job.id))
    leftovers.mark(yard.service.ledger, job.id)
    sweep(yard)
    assert yard.keys() == named
    assert not leftovers.due(yard.service.ledger)


def test_parts_of_a_whole_dataset_go_though_rows_name_them(yard: Yard) -> None:
    job = yard.ended(JobState.SUCCEEDED)
    yard.put(*yard.manifest(job.id, {0}) - yard.keys())
    there = yard.keys()
    yard.put(yard.rows.shard(job)["part_key"])
    leftovers.mark(yard.service.ledger, job.id)
    sweep(yard)
    assert yard.keys() == there


def test_nothing_goes_where_the_manifest_is_lost(yard: Yard) -> None:
    job = yard.ended(JobState.SUCCEEDED)
    yard.put(*orphans(job.id))
    there = yard.keys()
    leftovers.mark(yard.service.ledger, job.id)
    sweep(yard)
    assert yard.keys() == there
    assert not leftovers.due(yard.service.ledger), "it would be looked through for ever"


def test_jobs_that_nobody_marked_are_left_alone(yard: Yard) -> None:
    job = yard.ended(JobState.CANCELLED)
    yard.put(*orphans(job.id))
    there = yard.keys()
    sweep(yard)
    assert yard.keys() == there


def test_what_no_worker_sent_stays(yard: Yard) -> None:
    job = yard.ended(JobState.CANCELLED)
    kept = set(yard.put(dataset_prefix(job.id) + "notes.txt"))
    yard.put(*orphans(job.id))
    leftovers.mark(yard.service.ledger, job.id)
    sweep(yard)
    assert kept <= yard.keys()
    assert not yard.keys() & set(orphans(job.id))


def test_shard_that_a_repair_has_packed_anew_stays(yard: Yard) -> None:
    job = yard.ended(JobState.SUCCEEDED)
    named = yard.manifest(job.id, {0})
    yard.put(*named - yard.keys(), shard_key(job.id, 0, "e" * 64))
    there = yard.keys()
    leftovers.mark(yard.service.ledger, job.id)
    sweep(yard)
    assert yard.keys() == there


def test_dataset_that_lacks_samples_keeps_what_a_retry_needs(yard: Yard) -> None:
    job = yard.ended(JobState.SUCCEEDED)
    yard.put(*yard.manifest(job.id, {0}, failed=True) - yard.keys(), *orphans(job.id))
    there = yard.keys()
    leftovers.mark(yard.service.ledger, job.id)
    sweep(yard)
    assert yard.keys() == there


def test_job_that_cannot_be_swept_does_not_keep_the_others_waiting(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = [yard.ended(JobState.CANCELLED) for _ in range(3)]
    for job in ended:
        yard.put(part_key(job.id, 1, "f" * 64))
        leftovers.mark(yard.service.ledger, job.id)
    first = next(iter(leftovers.due(yard.service.ledger)))
    delete = yard.service.store.delete

    def refuse(key: str) -> None:
        if first in key:
            raise UnreachableError("the store refused it")
        delete(key)

    monkeypatch.setattr(yard.service.store, "delete", refuse)
    with pytest.raises(UnreachableError, match="refused"):
        sweep(yard)
    assert set(leftovers.due(yard.service.ledger)) == {first}


def test_who_leads_no_more_removes_nothing(yard: Yard) -> None:
    job = yard.ended(JobState.CANCELLED)
    yard.put(*orphans(job.id))
    there = yard.keys()
    leftovers.mark(yard.service.ledger, job.id)
    with pytest.raises(ConflictError, match="another orchestrator"):
        sweep(yard, leads=False)
    assert yard.keys() == there
    assert leftovers.due(yard.service.ledger)
