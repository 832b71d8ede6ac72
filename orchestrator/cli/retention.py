"""The command that removes what is not needed any more."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import UsageError
from orchestrator.cli import units
from orchestrator.cli.console import Console, columns
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from orchestrator.retention import Garbage


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
    found: list[Garbage] = []
    try:
        with call.service() as service:
            for each in retention.collect(service, age, remove=yes):
                found.append(each)
    except BaseException:
        if yes and found:  # what is gone is told, however it ended
            _tell(call.console, found, gone=True)
        raise
    _tell(call.console, found, gone=yes)


def _tell(console: Console, found: "Sequence[Garbage]", *, gone: bool) -> None:
    rows = [(each.rule, each.what, units.size(each.size), each.why) for each in found]
    done = "Removed" if gone else "To be removed, with --yes"
    total = f"{done}: {len(found):,}, of {units.size(sum(each.size for each in found))}."
    lines = columns(("rule", "what", "size", "why"), rows, right="size") if found else []
    console.answer({"removed": gone, "found": found}, *lines, total, brief=str(len(found)))


def _seconds(text: str) -> int:
    from core.duration import seconds

    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(f"--older-than {text}: {error}.") from None
