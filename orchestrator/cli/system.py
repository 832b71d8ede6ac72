"""Commands about the installation: doctor, config, db upgrade, db backup."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import EXIT_UNREACHABLE
from orchestrator.cli.console import columns
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from orchestrator.doctor import Health

database = typer.Typer(no_args_is_help=True, help="The ledger's tables and its copy.")


def doctor(context: typer.Context) -> None:
    """Say of each part whether it is well, and what to do if not.

    $ spritemill doctor
    """
    call = session(context)
    found = []
    with call.service() as service:
        for health in service.doctor():
            found.append(health)
            if not (call.console.json or call.console.quiet):
                typer.echo(_line(health))
    if call.console.json:
        call.console.answer(found)
    if not all(health.ok for health in found):
        raise typer.Exit(EXIT_UNREACHABLE)


def config(context: typer.Context) -> None:
    """Show every setting, its value and where it was set. Passwords are hidden.

    $ SPRITEMILL_WORKERS=2 spritemill config
    """
    from core.settings import explain, settings_file, unknown

    call = session(context)
    for name in unknown():
        call.console.remark(f"{name} is set in the environment, but there is no such setting.")
    found = explain(call.flags)
    rows = [(item.name, item.value, item.source, item.explain) for item in found]
    table = columns(("setting", "value", "set by", "meaning"), rows)
    file = settings_file(os.environ)
    there = "" if file.is_file() else ", which is not there"
    call.console.answer(found, *table, "", f"The settings file is {file}{there}.")


@database.command()
def upgrade(context: typer.Context) -> None:
    """Bring the ledger's schema to this version of Spritemill.

    $ spritemill db upgrade
    """
    call = session(context)
    with call.service() as service:
        revision = service.upgrade()
    line = f"The ledger is at revision {revision}."
    call.console.answer({"revision": revision}, line, brief=revision)


@database.command()
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A new file.", show_default=False)],
) -> None:
    """Copy a SQLite ledger to a file, while a mill is up or not.

    $ spritemill db backup ledger-1.db
    """
    call = session(context)
    with call.service() as service:
        service.backup(file)
    call.console.answer({"file": file}, f"The ledger is copied to {file}.", brief=str(file))


def _line(health: "Health") -> str:
    mark = "ok  " if health.ok else "FAIL"
    line = f"{mark}  {health.part:<8}  {health.detail}  ({health.seconds:.2f} s)"
    return f"{line}\n      {health.remedy}" if health.remedy and not health.ok else line
