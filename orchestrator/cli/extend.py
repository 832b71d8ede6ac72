"""The command that makes a larger dataset out of one that is there."""

from typing import Annotated

import typer

from core.errors import UsageError
from orchestrator.cli import job_view, units
from orchestrator.cli.asked import request_text
from orchestrator.cli.dataset import DatasetName
from orchestrator.cli.jobs import remark_idle
from orchestrator.cli.progress import Progress, data
from orchestrator.cli.request import Workers
from orchestrator.cli.run import make
from orchestrator.cli.session import session


def extend(
    context: typer.Context,
    dataset: DatasetName,
    samples: Annotated[
        int | None,
        typer.Option("--samples", "-n", min=1, help="Sprites that each context shall have."),
    ] = None,
    request: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A request with more contexts, or more of them."),
    ] = None,
    submit: Annotated[
        bool, typer.Option("--submit", help="Hand it to the mill or the fleet instead.")
    ] = False,
    workers: Workers = None,
) -> None:
    """Make a dataset with all of another's sprites, byte for byte, and more.

    $ spritemill extend bestiary --samples 100
    """
    from orchestrator import extension

    if (samples is None) == (request is None):
        raise UsageError("extend by what?", remedy="Give either --samples or --request.")
    if submit and workers is not None:
        raise UsageError(
            f"workers = {workers}: with --submit the mill or the fleet has its own.",
            remedy="Say `workers` in the request, or leave --submit out.",
        )
    call = session(context)
    wanted = None if request is None else request_text(request)
    with call.service() as service, Progress(call.console, "copy", data) as progress:
        lasting = service.datasets.lasting(dataset)
        asked = extension.text(service, lasting, wanted, samples, progress.update)
    if not submit:
        make(call, asked, workers=workers, latest=lasting)
        return
    with call.service() as service:
        submitted = service.submit(asked)
        job = submitted.job
        remark_idle(call)
        new = units.count(job.total_samples, "new sprite")
        call.console.answer(
            {**job_view.document(service.status(job.id)), "created": submitted.created},
            f"{job_view.title(job)} is {job.state}: {new}.",
            f"Follow it: spritemill watch {job.id}",
            brief=job.id,
        )
