"""One call of the command line: its global options, and the way to settings and use cases."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from orchestrator.cli.console import Console

if TYPE_CHECKING:
    from core.settings import Settings
    from orchestrator.service import Service


@dataclass(frozen=True, slots=True)
class Session:
    """What the global options said."""

    console: Console = field(default_factory=Console)
    flags: dict[str, Any] = field(default_factory=dict)

    def settings(self, **flags: Any) -> "Settings":
        """The settings, with these flags on top. Raises RequestError."""
        from core.settings import load

        return load({**self.flags, **flags})

    def service(self, **flags: Any) -> "Service":
        from orchestrator.service import Service

        return Service(self.settings(**flags))


def session(context: typer.Context) -> Session:
    """The session that the global options opened."""
    found = context.obj
    return found if isinstance(found, Session) else Session()
