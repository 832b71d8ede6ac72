"""What commands say: results on stdout, for people or as JSON; remarks on stderr."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import typer


@dataclass(frozen=True, slots=True)
class Console:
    """How this call wants to be answered."""

    json: bool = False
    quiet: bool = False

    @property
    def draws(self) -> bool:
        """Whether pictures are drawn: in a terminal, for people who want colours."""
        plain = self.json or self.quiet or os.environ.get("NO_COLOR")
        return sys.stdout.isatty() and not plain

    def answer(self, document: Any, *lines: str, brief: str = "") -> None:
        """The result: a JSON document, or lines for people, or only the brief line when quiet."""
        if self.json:
            typer.echo(encode(document, indent=2))
        elif not self.quiet:
            typer.echo("\n".join(lines))
        elif brief:
            typer.echo(brief)

    def event(self, document: Any, line: str) -> None:
        """One of several results: a JSON line, or a line for people."""
        typer.echo(encode(document) if self.json else line)

    def remark(self, line: str) -> None:
        """Something beside the result."""
        if not (self.json or self.quiet):
            typer.echo(line, err=True)


def encode(document: Any, indent: int | None = None) -> str:
    return json.dumps(document, default=_plain, ensure_ascii=False, indent=indent)


def columns(head: Sequence[str], rows: Iterable[Sequence[str]], right: str = "") -> list[str]:
    """A table's lines. `right` names the columns that are set flush right."""
    table = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    flush = [name in right.split() for name in head]
    return ["  ".join(_cells(row, widths, flush)).rstrip() for row in table]


def fields(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Lines of names with their values; empty values are left out."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    return [f"{name:<{width}}  {value}" for name, value in shown]


def _cells(row: Sequence[str], widths: list[int], flush: list[bool]) -> list[str]:
    return [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(row, widths, flush, strict=True)
    ]


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
