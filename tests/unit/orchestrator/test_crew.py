"""Which class of workers a new job goes to."""

from typing import Any

from core.request.plan import RENDERER_VERSION
from orchestrator.crew import Crew, current, freest

NEWER = {"renderer": RENDERER_VERSION + 1}


def crew(facts: dict[str, Any], slots: int = 2) -> Crew:
    return Crew(workers=1, slots=slots, current=current(facts))


def test_new_job_goes_only_where_it_is_drawn_as_it_was_planned() -> None:
    there = {"other": crew(NEWER, slots=8), "ours": crew({"renderer": RENDERER_VERSION})}
    assert freest(there, {"other": 8, "ours": 0}) == "ours"
    assert freest({"other": crew(NEWER)}, {"other": 8}) == ""
