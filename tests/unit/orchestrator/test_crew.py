"""Which class of workers a job goes to."""

from typing import Any

from core.ledger.jobs import Job
from core.request.plan import RENDERER_VERSION
from orchestrator.crew import Crew, current, route

NEWER = {"renderer": RENDERER_VERSION + 1}


def job(numerics: str | None) -> Job:
    facts: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
    return Job(**{**facts, "numerics": numerics})


def crew(facts: dict[str, Any], slots: int = 2) -> Crew:
    return Crew(workers=1, slots=slots, current=current(facts))


def test_job_stays_with_its_class_whatever_its_version() -> None:
    there = {"old": crew(NEWER), "new": crew({"renderer": RENDERER_VERSION}, slots=8)}
    assert route(job("old"), there, {"old": 2, "new": 8}) == "old"
    assert route(job("away"), there, {"old": 2, "new": 8}) == "away"


def test_new_job_goes_only_where_it_is_drawn_as_it_was_planned() -> None:
    there = {"other": crew(NEWER, slots=8), "ours": crew({"renderer": RENDERER_VERSION})}
    assert route(job(None), there, {"other": 8, "ours": 0}) == "ours"
    assert route(job(None), {"other": crew(NEWER)}, {"other": 8}) == ""
