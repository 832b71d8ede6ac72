"""What is swept of jobs that are over, and what never is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from core.errors import ConflictError
from core.ledger import leftovers, schema
from core.ledger.states import JobState
from orchestrator.sweeper import Sweeper
from tests.unit.orchestrator.test_retention import DAY, Yard, orphans


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


def test_what_a_manifest_names_stays(yard: Yard) -> None:
    job = yard.ended(JobState.SUCCEEDED, done=0)
    named = yard.manifest(job.id, {0})
    yard.put(*named - yard.keys(), *orphans(job.id))
    leftovers.mark(yard.service.ledger, job.id)
    sweep(yard)
    assert yard.keys() == named


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


def test_job_that_was_open_since_it_was_looked_through_keeps_everything(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = yard.ended(JobState.CANCELLED)
    yard.put(*orphans(job.id))
    there = yard.keys()
    leftovers.mark(yard.service.ledger, job.id)
    listing = yard.service.store.list

    def list_slowly(prefix: str) -> object:
        yield from listing(prefix)
        with yard.service.ledger.write() as connection:
            connection.execute(update(schema.jobs).values(finished_at=job.created_at + DAY))

    with monkeypatch.context() as patch:
        patch.setattr(yard.service.store, "list", list_slowly)
        sweep(yard)
    assert yard.keys() == there
    assert leftovers.due(yard.service.ledger)


def test_who_leads_no_more_removes_nothing(yard: Yard) -> None:
    job = yard.ended(JobState.CANCELLED)
    yard.put(*orphans(job.id))
    there = yard.keys()
    leftovers.mark(yard.service.ledger, job.id)
    with pytest.raises(ConflictError, match="another orchestrator"):
        sweep(yard, leads=False)
    assert yard.keys() == there
    assert leftovers.due(yard.service.ledger)
