"""The commands, by what they are about, and where each is. Only what is called is imported."""

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated

import typer

from orchestrator.cli.console import Console
from orchestrator.cli.session import Session

EPILOG = "--home DIR, --json and --quiet may be given anywhere."

_COMMANDS: Mapping[str, Mapping[str, str]] = {
    "Make a dataset": {"init": "request.init", "run": "run.run", "extend": "extend.extend"},
    "Make a model": {"train": "train.train", "evaluate": "evaluate.evaluate"},
    "Requests": {
        "check": "request.check",
        "plan": "request.plan",
        "schema": "request.schema",
        "animate": "animate.animate",
    },
    "Jobs": {
        "submit": "jobs.submit",
        "status": "jobs.status",
        "list": "jobs.list_",
        "watch": "jobs.watch",
        "pause": "jobs.pause",
        "resume": "jobs.resume",
        "cancel": "jobs.cancel",
        "priority": "jobs.priority",
        "retry": "jobs.retry",
        "rm": "jobs.rm",
        "events": "jobs.events",
        "logs": "jobs.logs",
    },
    "Datasets": {
        "download": "dataset.download",
        "preview": "dataset.preview",
        "verify": "dataset.verify",
        "export": "export.export",
        "report": "report.report",
        "repair": "trust.repair",
        "diff": "trust.diff",
        "show": "samples.show",
        "regenerate": "samples.regenerate",
    },
    "The mill": {
        "up": "mill.up",
        "down": "mill.down",
        "doctor": "system.doctor",
        "config": "system.config",
        "gc": "retention.gc",
        "workers": "workers.group",
        "models": "models.group",
        "db": "system.database",
    },
}
_NEGATIVE = ("priority",)
"""Commands that take numbers below 0, which are no options."""


def program(word: str = "") -> typer.Typer:
    """The command line. Where `word` is one of its commands, only that one is in it."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        epilog="The same request runs here (`run`) and on a fleet (`submit`). "
        "A job is named by its id, a unique prefix of it, or `latest`.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    known = any(word in commands for commands in _COMMANDS.values())
    for panel, commands in _COMMANDS.items():
        for name, place in commands.items():
            if name == word or not known:
                _add(app, panel, name, place)
    return app


def _add(app: typer.Typer, panel: str, name: str, place: str) -> None:
    module, _, noun = place.partition(".")
    command = getattr(import_module(f"orchestrator.cli.{module}"), noun)
    if not isinstance(command, typer.Typer):
        taking = {"ignore_unknown_options": name in _NEGATIVE}
        app.command(name, rich_help_panel=panel, epilog=EPILOG, context_settings=taking)(command)
        return
    for part in command.registered_commands:
        part.epilog = EPILOG
    app.add_typer(command, name=name, rich_help_panel=panel, epilog=EPILOG)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("spritemill"))
        raise typer.Exit


def _options(
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
