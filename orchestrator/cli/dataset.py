"""Commands about finished datasets: download, preview, verify."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import CorruptError, UsageError
from orchestrator.cli import completion, units
from orchestrator.cli.console import Console
from orchestrator.cli.interrupt import interrupted, same_command
from orchestrator.cli.jobs import JobName
from orchestrator.cli.progress import Progress, data, sprites
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from core.dataset.comparison import Comparison
    from orchestrator.service import Service

DatasetName = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="A folder, s3://bucket/prefix/datasets/JOB, or a job.",
        autocompletion=completion.datasets,
    ),
]


def download(
    context: typer.Context,
    job: JobName,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write.")],
    folders: Annotated[
        bool, typer.Option("--folders", help="Plain PNG folders by context instead.")
    ] = False,
) -> None:
    """Copy a finished dataset to a folder. Begun again, it goes on where it stopped.

    $ spritemill download latest bestiary
    """
    call = session(context)
    with call.service() as service:
        found = service.status(job).job.id
        write(call.console, service, found, folder, folders=folders)
    call.console.answer({"job": found, "folder": folder}, f"Wrote {folder}.", brief=str(folder))


def preview(
    context: typer.Context,
    dataset: DatasetName = "latest",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the picture there.")
    ] = None,
) -> None:
    """Show the contact sheet: drawn in a terminal, its place elsewhere.

    $ spritemill preview latest --out sheet.png
    """
    call = session(context)
    with call.service() as service:
        png = service.datasets.preview(dataset)
        place = f"{service.datasets.place(dataset)}/preview.png"
    if out is not None:
        write_file(out, png)
        place = str(out)
    if call.console.draws:
        from orchestrator.cli.drawing import draw

        typer.echo("\n".join(draw(png, shutil.get_terminal_size().columns)))
    call.console.answer({"preview": place}, place, brief=place)


def verify(
    context: typer.Context,
    dataset: DatasetName = "latest",
    regenerate: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Render that many again, too: 1%, or a number."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Which are rendered again.")] = 0,
) -> None:
    """Prove a dataset: every file, sample and pixel. Offline, when it is a folder.

    $ spritemill verify bestiary --regenerate 1%
    """
    from orchestrator import trust

    call = session(context)
    with call.service() as service:
        with Progress(call.console, "verify", data) as progress:
            report = service.datasets.verify(dataset, progress.update)
        checked = None
        if regenerate is not None and report.ok:
            checked = trust.spot_check(service, dataset, regenerate, seed)
    problems = [*report.problems, *(trust.damage(checked) if checked else [])]
    if problems and not call.console.json:
        told = "\n".join(f"  {problem}" for problem in problems)
        raise CorruptError(f"{dataset} is not sound:\n{told}")
    call.console.answer(
        {**asdict(report), "ok": not problems, "problems": problems, "regenerated": checked},
        f"{dataset} is sound: {units.count(report.samples, 'sprite')}, {units.size(report.bytes)}.",
        *(_regenerated(checked) if checked else []),
        f"digest {report.digest}",
        brief=report.digest,
    )
    if problems:
        raise typer.Exit(CorruptError.exit_code)


def _regenerated(found: "Comparison") -> list[str]:
    from core.dataset.rendering import told

    same = f"{found.equal:,} of {units.count(found.samples, 'sprite')} came out the same again."
    if not found.differs:
        return [same]
    return [
        f"{same} The largest difference is {found.largest} of 255.",
        f"This machine renders otherwise: {told(found.differs)}.",
    ]


def write(console: Console, service: "Service", job: str, folder: Path, *, folders: bool) -> None:
    """Write a finished dataset into a folder, whole or as plain folders of pictures."""
    try:
        with Progress(console, str(folder), sprites if folders else data) as progress:
            if folders:
                service.datasets.folders(job, folder, progress.update)
            else:
                service.datasets.download(job, folder, progress.update)
    except KeyboardInterrupt:
        raise interrupted(console, f"Interrupted. Go on with:\n  {same_command()}") from None


def write_file(path: Path, data: bytes) -> None:
    """Write a file that was asked for, and its folder. Raises UsageError."""
    make_room(path)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error


def make_room(path: Path) -> None:
    """Make the folder of a file that is to be written. Raises UsageError where none can be."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", remedy="Name a file in it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
