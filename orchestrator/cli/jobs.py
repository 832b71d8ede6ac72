"""Commands about jobs: from submit and status to retry and rm."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import SpritemillError, UsageError
from orchestrator.cli import completion, job_view, units
from orchestrator.cli.asked import request_text
from orchestrator.cli.following import check_success, follow, over
from orchestrator.cli.interrupt import interrupted, interruptible
from orchestrator.cli.request import RequestFile
from orchestrator.cli.session import Session, session

if TYPE_CHECKING:
    from core.ledger.events import Event
    from core.ledger.jobs import Job
    from orchestrator.service import Service

_PAGE = 1000


JobName = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="Id, unique prefix of it, or latest.", autocompletion=completion.jobs
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Make another job even if this one was made already.")
]


def submit(
    context: typer.Context,
    request: RequestFile,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job to its end.")] = False,
    again: Again = False,
) -> None:
    """Hand a request to the mill or the fleet. The same request is made once.

    $ spritemill submit request.yaml --wait
    """
    call = session(context)
    with call.service() as service:
        submitted = service.submit(request_text(request), again=again)
        job = submitted.job
        remark_idle(call)
        if wait:
            _follow(call, service, job.id)
            return
        known = "is accepted" if submitted.created else f"is there already, {job.state}"
        status = job_view.document(service.status(job.id)) if call.console.json else {}
        call.console.answer(
            {**status, "created": submitted.created},
            f"{job_view.title(job)} {known}: {units.count(job.total_samples, 'sprite')}, "
            f"{units.count(job.shard_count, 'shard')}.",
            f"Follow it: spritemill watch {job.id}",
            brief=job.id,
        )


def status(context: typer.Context, job: JobName = "latest") -> None:
    """Show one job and how far it is.

    $ spritemill status latest
    """
    call = session(context)
    with call.service() as service:
        found = service.status(job)
    brief = f"{found.job.state} {found.samples}/{found.job.total_samples}"
    call.console.answer(job_view.document(found), *job_view.lines(found), brief=brief)


def list_(
    context: typer.Context,
    state: Annotated[list[str] | None, typer.Option(help="Only in this state.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Jobs of every owner.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=1_000_000, help="At most so many.")
    ] = 50,
) -> None:
    """List jobs, the newest first.

    $ spritemill list --state running
    """
    call = session(context)
    with call.service() as service:
        there = service.list(states=state, everyone=everyone, limit=limit + 1)
    found = there[:limit]
    shown = (
        job_view.table(found, owners=everyone)
        if found
        else ["No jobs. `spritemill run` makes one."]
    )
    call.console.answer(found, *shown, brief="\n".join(job.id for job in found))
    if len(there) > limit:
        call.console.remark(f"There are more than these {limit:,}: --limit N shows them.")


def watch(context: typer.Context, job: JobName = "latest") -> None:
    """Follow a job to its end. With --json, a line for each change.

    $ spritemill watch latest
    """
    call = session(context)
    with call.service() as service:
        _follow(call, service, job, patient=True)


def pause(context: typer.Context, job: JobName) -> None:
    """Stop a job for now, within one tile; what is done is kept.

    $ spritemill pause latest
    """
    call = session(context)
    with call.service() as service:
        _moved(call, service, service.pause(job))


def resume(context: typer.Context, job: JobName) -> None:
    """Go on with a paused job.

    $ spritemill resume latest
    """
    call = session(context)
    with call.service() as service:
        _moved(call, service, service.resume(job))


def cancel(context: typer.Context, job: JobName) -> None:
    """Stop a job for good, within one tile; finished shards stay.

    $ spritemill cancel latest
    """
    call = session(context)
    with call.service() as service:
        _moved(call, service, service.cancel(job))


def priority(
    context: typer.Context,
    job: JobName,
    number: Annotated[int, typer.Argument(metavar="N", help="-100 to 100, the higher the sooner.")],
) -> None:
    """Change which of your jobs goes first: from the next tile on.

    $ spritemill priority latest 10
    """
    call = session(context)
    with call.service() as service:
        found = service.prioritise(job, number)
        line = f"{job_view.title(found)} has priority {found.priority}."
        document = job_view.document(service.status(found.id))
    call.console.answer(document, line, brief=str(found.priority))


def retry(context: typer.Context, job: JobName) -> None:
    """Render again what a job could not, and nothing else.

    $ spritemill retry latest
    """
    call = session(context)
    with call.service() as service:
        _moved(call, service, service.retry(job))


def rm(
    context: typer.Context,
    job: JobName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a job that is over, with its dataset in the store.

    $ spritemill rm 3kq --yes
    """
    call = session(context)
    with call.service() as service:
        found = service.status(job).job
        if not (yes or sys.stdin.isatty()):
            raise UsageError(f"rm removes {job_view.title(found)}.", remedy="Say --yes to do it.")
        if not yes:
            typer.confirm(f"Remove {job_view.title(found)} and its dataset?", abort=True, err=True)
        removed = service.remove(found.id)
    call.console.answer(removed, f"Removed {job_view.title(removed)}.", brief=removed.id)


def events(context: typer.Context, job: JobName = "latest") -> None:
    """Tell what happened to a job. With --json, a line for each event.

    $ spritemill events latest
    """
    call = session(context)
    with call.service() as service:
        found = service.status(job).job.id
        after = 0
        while page := service.events(found, after, _PAGE):
            for event in page:
                call.console.event(event, _event_line(event))
            after = page[-1].id


def logs(context: typer.Context, job: JobName = "latest") -> None:
    """Show what this machine's workers logged about a job.

    $ spritemill logs latest
    """
    from orchestrator.logs import entry

    call = session(context)
    with call.service() as service:
        for line in service.logs(job):
            fields = entry(line)
            call.console.event(fields, _log_line(fields))


def _follow(call: Session, service: "Service", name: str, *, patient: bool = False) -> None:
    with interruptible() as stop:
        job = service.status(name).job.id
        status = follow(call.console, service, job, stop, lines=True, patient=patient)
    if not over(status):
        raise interrupted(call.console, f"{job_view.title(status.job)} goes on without a watcher.")
    if not call.console.json:
        call.console.answer(None, *job_view.lines(status), brief=status.dataset)
    check_success(status)


def remark_idle(call: Session) -> None:
    """Say so when nothing here would make what was submitted."""
    from orchestrator.mill_file import find

    settings = call.settings()
    try:
        idle = settings.embedded and find(settings.home) is None
    except SpritemillError as error:  # the job is made, and is to be told of
        call.console.remark(str(error))
        return
    if idle:
        call.console.remark(f"No mill is up in {settings.home}: start it with `spritemill up`.")


def _moved(call: Session, service: "Service", job: "Job") -> None:
    found = service.status(job.id)
    line = f"{job_view.title(job)} is {job.state}: {found.samples:,} of {job.total_samples:,}."
    call.console.answer(job_view.document(found), line, brief=job.state)


def _event_line(event: "Event") -> str:
    where = "" if event.shard is None else f"shard {event.shard}"
    more = " ".join(f"{name}={value}" for name, value in event.fields.items())
    return "  ".join(filter(None, (units.moment(event.at), event.kind, where, more)))


def _log_line(entry: dict[str, object]) -> str:
    fields = dict(entry)
    told = [str(fields.pop(name, "")) for name in ("timestamp", "level", "event")]
    trace = str(fields.pop("exception", ""))
    more = " ".join(f"{name}={value}" for name, value in fields.items() if name != "job")
    return "\n".join(filter(None, ("  ".join(filter(None, (*told, more))), trace)))
