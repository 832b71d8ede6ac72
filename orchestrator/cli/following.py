"""Following a job to its end, and telling how it ended."""

import time
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from core.errors import JobFailedError
from orchestrator.cli.console import Console
from orchestrator.cli.job_view import document, title
from orchestrator.cli.progress import Progress

if TYPE_CHECKING:
    from orchestrator.progress import JobStatus
    from orchestrator.service import Service

_STAGES = {
    "planned": "starting",
    "running": "rendering",
    "paused": "paused",
    "finalizing": "finishing",
}


@dataclass(slots=True)
class Stages:
    """Seconds that each stage took, as seen from here; a stage without a name is not counted."""

    seconds: dict[str, float] = field(default_factory=dict)
    _name: str = "starting"
    _since: float = field(default_factory=time.monotonic)

    def enter(self, name: str) -> None:
        now = time.monotonic()
        if self._name:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + now - self._since
        self._name, self._since = name, now


def follow(
    console: Console,
    service: "Service",
    job: str,
    stop: Event,
    *,
    stages: Stages | None = None,
    lines: bool = False,
    patient: bool = False,
) -> "JobStatus":
    """Show a job's progress until it is over or `stop` is set; `lines`: as JSON lines.

    Raises JobFailedError when a limit or a drift has paused it, unless it is `patient`.
    """
    seen = stages or Stages()
    said: object = None
    trouble = ""
    with Progress(console, job) as progress:

        def show(status: "JobStatus") -> None:
            nonlocal said, trouble
            now = document(status)
            if lines and console.json and now != said:
                console.event(now, "")
                said = now
            if _gave_up(status) and not patient:
                raise _paused(status)
            before, trouble = trouble, _trouble(status)
            if trouble and trouble != before:
                console.remark(f"{title(status.job)} {trouble}")
            seen.enter(_STAGES.get(status.job.state, ""))
            progress.update(
                status.samples_drawn,
                status.job.total_samples,
                state=_doing(status),
                rate=None if status.waits_for else status.rate,
                eta=None if status.waits_for else status.eta,
            )

        return service.wait(job, show, stop)


def _gave_up(status: "JobStatus") -> bool:
    """Whether the job paused itself, and no shard under way may end it yet."""
    job = status.job
    return job.state == "paused" and bool(job.error) and not job.shards_leased


def _paused(status: "JobStatus") -> JobFailedError:
    job = status.job
    return JobFailedError(
        f"{title(job)} is paused: {job.error}.",
        remedy=f"Go on with it: spritemill resume {job.id}",
    )


def _trouble(status: "JobStatus") -> str:
    """What somebody should do before the job can go on."""
    job = status.job
    if job.state == "paused" and job.error:
        return f"is paused: {job.error}. Go on with it: spritemill resume {job.id}"
    return f"waits for {status.waits_for}." if ":" in status.waits_for else ""


def _doing(status: "JobStatus") -> str:
    """What goes on, for people who wait."""
    if status.waits_for:
        return f"waits for {status.waits_for.partition(':')[0]}"
    if status.job.state == "running" and not status.samples:
        return "loading the model"
    return status.job.state


def over(status: "JobStatus") -> bool:
    return status.job.state in ("succeeded", "failed", "cancelled")


def check_success(status: "JobStatus") -> None:
    """Raises JobFailedError when a job ended otherwise."""
    job = status.job
    if job.state != "succeeded":
        why = f": {job.error}" if job.error else "."
        raise JobFailedError(
            f"{title(job)} {'failed' if job.state == 'failed' else 'was cancelled'}{why}",
            remedy=f"`spritemill events {job.id}` tells what happened; --again makes a new job.",
        )
