"""Deadline and budget in a request."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from core import duration
from core.errors import RequestError
from core.ledger import limits, schema
from core.request import deadline, extension
from core.request.load import parse
from core.request.plan import digest, plan
from core.settings import Settings
from orchestrator.service import Service
from tests.unit.dataset.bench import SPEC

NOON = "2030-01-31T12:00:00Z"


def request(**more: Any) -> str:
    return json.dumps({"contexts": [{"class": "potion", "samples": 4}], **more})


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("90m", 5400), ("12h", 43200), ("30d", 2592000)]
)
def test_spans_are_counted_in_seconds(text: str, seconds: int) -> None:
    assert duration.seconds(text) == seconds
    assert deadline.moment(text, 1000.0) == 1000.0 + seconds


@pytest.mark.parametrize("text", ["", "12", "h", "-1h", "1.5h", "1h30m", "1w", " 1h"])
def test_other_spans_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 12h or 30d"):
        duration.seconds(text)


def test_times_are_those_of_their_zone() -> None:
    noon = datetime(2030, 1, 31, 12, tzinfo=UTC).timestamp()
    assert deadline.moment(NOON, 5.0) == noon
    assert deadline.moment("2030-01-31T13:00:00+01:00", 5.0) == noon


@pytest.mark.parametrize(
    ("more", "field", "problem"),
    [
        ({"deadline": "tomorrow"}, "deadline", "a span such as 12h"),
        ({"deadline": "2030-01-31T12:00:00"}, "deadline", "of which zone"),
        ({"deadline": "2020-01-31T12:00:00Z"}, "deadline", "it has passed"),
        ({"budget": {"gpu_seconds": 0}}, "budget.gpu_seconds", "above 0"),
        ({"deadline": "1h", "at_end": "burn"}, "at_end", "drain"),
        ({"budget": {}}, "budget.gpu_seconds", ""),
    ],
)
def test_faults_name_the_field(
    more: dict[str, Any], field: str, problem: str, tmp_path: Path
) -> None:
    with Service(Settings(home=tmp_path)) as service, pytest.raises(RequestError) as caught:
        service.submit(request(**more))
    (fault,) = caught.value.faults
    assert fault.field == field
    assert problem in str(fault)


def test_limits_are_part_of_no_digest() -> None:
    limited = request(deadline=NOON, budget={"gpu_seconds": 5}, at_end="drain")
    digests = {digest(plan(parse(text), SPEC), "a" * 64) for text in (request(), limited)}
    assert len(digests) == 1


def test_extension_does_not_inherit_limits() -> None:
    limited = parse(request(deadline=NOON, budget={"gpu_seconds": 5}, at_end="drain"))
    more = extension.more(limited, 8)
    assert (more.deadline, more.budget, more.at_end) == (None, None, None)


def test_accepted_job_has_its_limits(tmp_path: Path) -> None:
    with Service(Settings(home=tmp_path, owner="ann")) as service:
        text = request(deadline="1h", budget={"gpu_seconds": 5}, at_end="drain")
        job = service.submit(text).job
    assert job.deadline
    assert 3500 < job.deadline - time.time() <= 3600
    assert (job.gpu_seconds, job.at_end) == (5.0, "drain")


def test_resumed_job_goes_on_without_the_limit_it_ran_over(tmp_path: Path) -> None:
    with Service(Settings(home=tmp_path, owner="ann")) as service:
        job = service.submit(request(deadline="1h")).job
        with service.ledger.write() as connection:
            connection.execute(update(schema.jobs).values(deadline=job.created_at))
        paused = limits.enforce(service.ledger, job.id)
        assert paused
        assert paused.state == "paused"
        resumed = service.resume(job.id)
    assert (resumed.state, resumed.deadline) == ("planned", None)
