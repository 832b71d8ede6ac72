"""The command that removes what is not needed any more."""

from typing import Annotated

import typer

from core.errors import UsageError
from orchestrator.cli import units
from orchestrator.cli.console import columns
from orchestrator.cli.session import session


def gc(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove it, do not only list.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Datasets older than this go too: 12h, 30d."),
    ] = None,
) -> None:
    """List what may go: orphans, cancelled jobs, expired datasets; with --yes, remove it.

    $ spritemill gc --older-than 30d
    """
    from orchestrator import retention

    call = session(context)
    age = None if older_than is None else _seconds(older_than)
    with call.service() as service:
        found = list(retention.collect(service, age, remove=yes))
    rows = [(each.rule, each.what, units.size(each.size), each.why) for each in found]
    done = "Removed" if yes else "To be removed, with --yes"
    total = f"{done}: {len(found):,}, of {units.size(sum(each.size for each in found))}."
    lines = columns(("rule", "what", "size", "why"), rows, right="size") if found else []
    call.console.answer({"removed": yes, "found": found}, *lines, total, brief=str(len(found)))


def _seconds(text: str) -> int:
    from core.duration import seconds

    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(f"--older-than {text}: {error}.") from None
