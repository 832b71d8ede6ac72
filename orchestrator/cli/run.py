"""The command that does it all here: start a mill, make the dataset, stop the mill."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import RequestError, UsageError
from orchestrator.cli import job_view, units
from orchestrator.cli.asked import text_of
from orchestrator.cli.console import Console, fields
from orchestrator.cli.dataset import write
from orchestrator.cli.following import Stages, check_success, follow, over
from orchestrator.cli.interrupt import interrupted, interruptible, same_command
from orchestrator.cli.jobs import Again
from orchestrator.cli.request import Classes, Texts, Workers
from orchestrator.cli.session import Session, session

if TYPE_CHECKING:
    from core.request.plan import Plan
    from core.settings import Settings
    from orchestrator.mill import Mill
    from orchestrator.progress import JobStatus
    from orchestrator.service import Service


def run(
    context: typer.Context,
    request: Annotated[
        str | None,
        typer.Argument(metavar="[REQUEST]", help="A YAML or JSON file; - is standard input."),
    ] = None,
    class_: Classes = None,
    text: Texts = None,
    samples: Annotated[
        int | None, typer.Option("--samples", "-n", help="Without a file: sprites of each.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Without a file: the seed.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Lay PNG folders by context there, too.")
    ] = None,
    workers: Workers = None,
    again: Again = False,
) -> None:
    """Make a dataset here and now. Interrupted, the same command goes on where it stopped.

    $ spritemill run request.yaml --out sprites

    $ spritemill run --class potion --class scroll -n 20
    """
    asked = text_of(request, class_ or (), text or (), samples, seed)
    make(session(context), asked, workers=workers, out=out, again=again)


def make(
    call: Session,
    asked: str,
    *,
    workers: int | None = None,
    out: Path | None = None,
    again: bool = False,
    latest: str = "latest",
) -> None:
    """Make the dataset of a request's text here and now, and tell of it.

    `latest` is what that means in the command that was typed.
    """
    settings = call.settings(workers=workers)
    if settings.embedded and not settings.workers:
        raise UsageError(
            "workers = 0: nobody would render.",
            remedy="Give 1 or more; `spritemill up --workers 0` keeps a mill without any.",
        )
    if out is not None:
        _refuse_unless_free(out)
    stages = Stages()
    with interruptible() as stop, _mill(settings, asked, out) as mill:
        service = mill.service
        submitted = service.submit(asked, again=again)
        job = submitted.job
        call.console.remark(f"{job_view.title(job)}: {units.count(job.total_samples, 'sprite')}")
        if job.state == "paused":
            service.resume(job.id)
        status = service.status(job.id)
        if not over(status):
            mill.ensure_workers(settings.workers)
            status = follow(call.console, service, job.id, stop, stages=stages)
        if not over(status):
            raise _stopped(call.console, status, latest)
        check_success(status)
        stages.enter("stopping")
    if out is not None:
        stages.enter("folders")
        with call.service() as service:
            write(call.console, service, job.id, out, folders=True)
    stages.enter("")
    _tell(call.console, status, submitted.created, out, stages.seconds)


@contextmanager
def _mill(settings: "Settings", asked: str, out: Path | None) -> "Iterator[Mill]":
    """A mill for as long as this lasts, without workers yet: a dataset that is there needs none.

    The request, and whether its sprites may lie in `out`, is checked before anything is started
    or written.
    """
    from orchestrator.service import Service

    with Service(settings) as service:
        made = service.check(asked)
        if out is not None:
            _refuse_another(out, made, service)
            _refuse_too_large(out, made)
    from core.logs import configure
    from orchestrator.mill import Mill

    configure(settings.log_level, settings.logs / "mill.log")
    with Mill(settings, workers=0) as mill:
        yield mill


def _refuse_unless_free(out: Path) -> None:
    """Now, not when all is made. Raises UsageError."""
    from core.dataset.folders import MARKER

    if out.exists() and not out.is_dir():
        raise UsageError(f"out = {out}: it is no folder.", remedy="Name a new one.")
    if out.is_dir() and any(out.iterdir()) and not (out / MARKER).exists():
        raise UsageError(f"out = {out}: other things are there.", remedy="Name a new folder.")


def _refuse_another(out: Path, made: "Plan", service: "Service") -> None:
    """Raises ConflictError when the sprites of another request lie there."""
    from core.dataset.folders import refuse_another
    from core.request.plan import digest

    refuse_another(out, digest(made, service.model(made.request.model).weights))


def _refuse_too_large(out: Path, made: "Plan") -> None:
    """Raises RequestError when the folders would not fit."""
    from orchestrator.admission import too_large

    if faults := too_large(made, str(out)):
        raise RequestError(faults)


def _stopped(console: Console, status: "JobStatus", latest: str) -> typer.Exit:
    job = status.job
    return interrupted(
        console,
        f"Interrupted. {job_view.title(job)} has {job.samples_done:,} of "
        f"{units.count(job.total_samples, 'sprite')}, which are kept. Go on with:\n"
        f"  {same_command(latest)}",
    )


def _tell(
    console: Console,
    status: "JobStatus",
    created: bool,
    out: Path | None,
    seconds: dict[str, float],
) -> None:
    job, dataset = status.job, status.dataset
    sheet = Path(dataset) / "preview.png"
    verb = "are ready" if created else "were ready before"
    preview = str(sheet) if sheet.is_file() else ""
    took = ", ".join(f"{stage} {units.duration(time)}" for stage, time in seconds.items())
    console.answer(
        {
            **job_view.document(status),
            "created": created,
            "preview": preview,
            "folders": out,
            "seconds": seconds,
        },
        f"{units.count(job.samples_done, 'sprite')} {verb}.",
        *fields(
            (
                ("dataset", dataset),
                ("sheet", preview),
                ("folders", str(out or "")),
                ("digest", job.dataset_digest or ""),
                ("took", took),
            )
        ),
        brief=str(out or dataset),
    )
