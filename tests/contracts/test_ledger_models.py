"""Removing registered weights, on every kind of ledger."""

import pytest

from core.errors import ConflictError
from core.ledger import jobs, models
from core.ledger.models import Model
from core.ledger.states import JobState
from tests.contracts.ledger_rows import WEIGHTS, Rows

FOREST = Model(WEIGHTS, "forest-16", "{}", "models/x.safetensors", 10)


def test_removed_weights_are_gone_and_removing_them_again_is_fine(rows: Rows) -> None:
    other = Model("2" * 64, "forest-16", "{}", "models/y.safetensors", 20)
    for model in (FOREST, other):
        models.add(rows.ledger, model)
    for _ in range(2):
        models.remove(rows.ledger, FOREST.sha256)
        assert models.list(rows.ledger) == [other]


@pytest.mark.parametrize("state", [JobState.PLANNED, JobState.RUNNING, JobState.PAUSED])
def test_weights_stay_while_a_job_is_not_over(rows: Rows, state: JobState) -> None:
    models.add(rows.ledger, FOREST)
    job = rows.job()
    if state != JobState.PLANNED:
        assert jobs.move(rows.ledger, job.id, state)
    with pytest.raises(ConflictError, match=f"job {job.id} is not over"):
        models.remove(rows.ledger, FOREST.sha256)
    assert models.list(rows.ledger) == [FOREST]
    assert jobs.move(rows.ledger, job.id, JobState.CANCELLED)
    models.remove(rows.ledger, FOREST.sha256)
    assert models.list(rows.ledger) == []


def test_jobs_with_other_weights_do_not_matter(rows: Rows) -> None:
    models.add(rows.ledger, FOREST)
    rows.job(weights="f" * 64)
    models.remove(rows.ledger, FOREST.sha256)
    assert models.list(rows.ledger) == []
