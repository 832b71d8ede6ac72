"""The command that tells of a dataset on one page."""

from pathlib import Path
from typing import Annotated

import typer

from core.storage.files import disk_errors
from orchestrator.cli import units
from orchestrator.cli.dataset import DatasetName, make_room
from orchestrator.cli.progress import Progress
from orchestrator.cli.session import session


def _shards(done: int, total: int) -> str:
    return f"{done:,} of {units.count(total, 'shard')}"


def report(
    context: typer.Context,
    dataset: DatasetName = "latest",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page; else NAME-report.html.")
    ] = None,
    real: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Real sprites to set beside the nearest.")
    ] = None,
) -> None:
    """Write a page about a dataset: sheets, scores, near-duplicates, refusals, cost, provenance.

    $ spritemill report bestiary --real training-sprites
    """
    from core.dataset.page.reading import render
    from core.dataset.page.real import read_folder
    from core.dataset.source import read_manifest

    call = session(context)
    with call.service() as service, Progress(call.console, "report", _shards) as progress:
        source = service.datasets.open(dataset)
        manifest = read_manifest(source)
        path = out or Path(f"{manifest.name.replace(' ', '-')}-report.html")
        make_room(path)
        beside = read_folder(real, manifest.model.size) if real else None
        html = render(source, manifest, beside, progress.update)
    with disk_errors(str(path)):
        path.write_text(html, encoding="utf-8")
    call.console.answer({"report": path}, f"Wrote {path}.", brief=str(path))
