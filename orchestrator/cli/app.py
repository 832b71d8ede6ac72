"""The commands, by what they are about. Nothing heavy is imported before a command runs."""

from collections.abc import Callable
from typing import Annotated

import typer

from orchestrator.cli import (
    animate,
    dataset,
    evaluate,
    export,
    extend,
    jobs,
    mill,
    models,
    report,
    request,
    retention,
    run,
    samples,
    system,
    train,
    trust,
    workers,
)
from orchestrator.cli.console import Console
from orchestrator.cli.session import Session

EPILOG = "--home DIR, --json and --quiet may be given anywhere."

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="The same request runs here (`run`) and on a fleet (`submit`). "
    "A job is named by its id, a unique prefix of it, or `latest`.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("spritemill"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    home: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder of the embedded mill.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Answer machines, in JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result.")] = False,
    show_version: Annotated[  # noqa: ARG001  # its callback does it
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Turn a one-page request into a finished, verifiable dataset of sprites.

    Begin with: spritemill run --class potion -n 20
    """
    context.obj = Session(Console(json, quiet), {"home": home})


def _add(panel: str, **commands: Callable[..., None]) -> None:
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel, epilog=EPILOG)(command)


_add("Make a dataset", init=request.init, run=run.run, extend=extend.extend)
_add("Make a model", train=train.train, evaluate=evaluate.evaluate)
_add("Requests", check=request.check, plan=request.plan, schema=request.schema)
_add("Requests", animate=animate.animate)
_add("Jobs", submit=jobs.submit, status=jobs.status, list=jobs.list_, watch=jobs.watch)
_add("Jobs", pause=jobs.pause, resume=jobs.resume, cancel=jobs.cancel, retry=jobs.retry, rm=jobs.rm)
_add("Jobs", events=jobs.events, logs=jobs.logs)
_add("Datasets", download=dataset.download, preview=dataset.preview, verify=dataset.verify)
_add("Datasets", export=export.export)
_add("Datasets", report=report.report)
_add("Datasets", repair=trust.repair, diff=trust.diff)
_add("Datasets", show=samples.show, regenerate=samples.regenerate)
_add("The mill", up=mill.up, down=mill.down, doctor=system.doctor, config=system.config)
_add("The mill", gc=retention.gc)
for _name, _group in (
    ("workers", workers.group),
    ("models", models.group),
    ("db", system.database),
):
    for _command in _group.registered_commands:
        _command.epilog = EPILOG
    app.add_typer(_group, name=_name, rich_help_panel="The mill", epilog=EPILOG)
