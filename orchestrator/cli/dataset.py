"""Commands about finished datasets: download, preview, verify."""

import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import CorruptError, UsageError
from orchestrator.cli import units
from orchestrator.cli.console import Console
from orchestrator.cli.interrupt import interrupted, same_command
from orchestrator.cli.jobs import JobName
from orchestrator.cli.progress import Progress, data, sprites
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from orchestrator.service import Service


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
    job: JobName = "latest",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the picture there.")
    ] = None,
) -> None:
    """Show the contact sheet: drawn in a terminal, its place elsewhere.

    $ spritemill preview latest --out sheet.png
    """
    call = session(context)
    with call.service() as service:
        png = service.preview(job)
        place = f"{service.dataset(job)}/preview.png"
    if out is not None:
        _write(out, png)
        place = str(out)
    plain = call.console.json or call.console.quiet or os.environ.get("NO_COLOR")
    if sys.stdout.isatty() and not plain:
        from orchestrator.cli.drawing import draw

        typer.echo("\n".join(draw(png, shutil.get_terminal_size().columns)))
    call.console.answer({"preview": place}, place, brief=place)


def verify(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A dataset's folder, or a job.")
    ] = "latest",
) -> None:
    """Prove a dataset: every file, sample and pixel. Offline, when it is a folder.

    $ spritemill verify bestiary
    """
    call = session(context)
    with Progress(call.console, "verify", data) as progress:
        if Path(dataset).is_dir():
            from core.dataset.source import FolderSource
            from core.dataset.verify import verify as prove

            report = prove(FolderSource(Path(dataset)), progress.update)
        else:
            with call.service() as service:
                report = service.verify(dataset, progress.update)
    if not report.ok and not call.console.json:
        told = "\n".join(f"  {problem}" for problem in report.problems)
        raise CorruptError(f"{dataset} is not sound:\n{told}")
    call.console.answer(
        {"ok": report.ok, **asdict(report)},
        f"{dataset} is sound: {units.count(report.samples, 'sprite')}, {units.size(report.bytes)}.",
        f"digest {report.digest}",
        brief=report.digest,
    )
    if not report.ok:
        raise typer.Exit(CorruptError.exit_code)


def write(console: Console, service: "Service", job: str, folder: Path, *, folders: bool) -> None:
    """Write a finished dataset into a folder, whole or as plain folders of pictures."""
    try:
        with Progress(console, str(folder), sprites if folders else data) as progress:
            if folders:
                service.folders(job, folder, progress.update)
            else:
                service.fetch(job, folder, progress.update)
    except KeyboardInterrupt:
        raise interrupted(console, f"Interrupted. Go on with:\n  {same_command()}") from None


def _write(path: Path, png: bytes) -> None:
    try:
        path.write_bytes(png)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
