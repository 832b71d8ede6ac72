"""The command that writes a finished dataset in another format: export."""

from dataclasses import asdict
from typing import Annotated

import typer

from orchestrator.cli import units
from orchestrator.cli.dataset import DatasetName
from orchestrator.cli.interrupt import interrupted, same_command
from orchestrator.cli.progress import Progress
from orchestrator.cli.session import session


def export(
    context: typer.Context,
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="webdataset, parquet, imagefolder, numpy, texturepacker, aseprite, aseprite-hash "
            "or croissant.",
        ),
    ],
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="Folder to write, or s3://bucket/prefix.")
    ],
    dataset: DatasetName = "latest",
    split: Annotated[
        str, typer.Option(metavar="NAME=SHARE,...", help="Parts, such as train=0.9,test=0.1.")
    ] = "",
    where: Annotated[
        str, typer.Option(metavar="EXPR", help='Which sprites: class = "potion" and index < 9.')
    ] = "",
    name: Annotated[
        str, typer.Option(metavar="PATTERN", help="What to call them: {class}-{number:04}.")
    ] = "{key}",
    scale: Annotated[int, typer.Option(help="Make each pixel N x N.")] = 1,
    palette: Annotated[
        str,
        typer.Option(metavar="COLOURS", help="Snap to a name, #rrggbb,..., a file, or N colours."),
    ] = "",
    background: Annotated[
        str, typer.Option(metavar="#RRGGBB", help="Behind sprites, where there is no alpha.")
    ] = "#ffffff",
    unique: Annotated[bool, typer.Option("--unique", help="Leave near-duplicates out.")] = False,
) -> None:
    """Write a dataset in another format. Begun again, it goes on where it stopped.

    $ spritemill export latest --format parquet --out potions --split train=0.9,test=0.1
    """
    from core.dataset.export.options import ALL, Options, colours, shares

    call = session(context)
    asked = Options(
        splits=shares(split) if split else ALL,
        where=where,
        name=name,
        scale=scale,
        palette=colours(palette) if palette else None,
        background=background.lower(),
        unique=unique,
    )
    try:
        with Progress(call.console, out) as progress, call.service() as service:
            made = service.datasets.export(
                dataset, out, kind, asked, lambda s, n, of: progress.update(n, of, state=s)
            )
    except KeyboardInterrupt:
        raise interrupted(call.console, f"Interrupted. Go on with:\n  {same_command()}") from None
    told = ", ".join(f"{count:,} in {part}" for part, count in made.samples.items())
    left_out = units.count(made.duplicates, "near-duplicate")
    call.console.answer(
        {"out": out, "format": kind, **asdict(made)},
        f"Wrote {units.count(sum(made.samples.values()), 'sprite')} to {out}: {told}.",
        *([f"Left out: {left_out}."] if unique else []),
        brief=out,
    )
