"""Commands that compare and mend datasets: diff, repair."""

from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import EXIT_FAILED, CorruptError
from orchestrator.cli import units
from orchestrator.cli.console import columns
from orchestrator.cli.dataset import DatasetName, write_file
from orchestrator.cli.progress import Progress, data
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from core.dataset.diff import Diff
    from core.dataset.repair import Repair
    from core.dataset.source import Source

_SHOWN = 20
_PICTURES = 64


def diff(
    context: typer.Context,
    first: DatasetName,
    second: DatasetName,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the changed sprites in pairs, as PNG.")
    ] = None,
) -> None:
    """Compare two datasets: samples, request, provenance. Ends with 0 when equal, else with 1.

    $ spritemill diff bestiary 3kq --out changed.png
    """
    from core.dataset.diff import diff as compare

    call = session(context)
    with call.service() as service:
        one, two = service.datasets.open(first), service.datasets.open(second)
        found = compare(one, two)
        changed = found.keys["changed"]
        if out is not None and changed:
            write_file(out, _pairs(one, two, found))
    if out is not None and not changed:
        call.console.remark(f"No sprite changed, so {out} is not written.")
    equal = "equal" if found.equal else "different"
    call.console.answer(asdict(found), *_lines(found), brief=equal)
    if not found.equal:
        raise typer.Exit(EXIT_FAILED)


def repair(context: typer.Context, dataset: DatasetName = "latest") -> None:
    """Mend a dataset in place: render what is missing or damaged, and nothing else.

    $ spritemill repair bestiary
    """
    from orchestrator import trust

    call = session(context)
    with call.service() as service, Progress(call.console, "repair", data) as progress:
        done, report = trust.repair(service, dataset, progress.update)
    call.console.answer(
        {"ok": report.ok, **asdict(done), "problems": [asdict(each) for each in report.problems]},
        *_told(done),
        f"{dataset} {'is sound' if report.ok else 'is not sound'}: digest {report.digest or '?'}",
        brief=report.digest,
    )
    if not report.ok and not call.console.json:
        told = "\n".join(f"  {problem}" for problem in done.lost or report.problems)
        raise CorruptError(f"{dataset} could not be mended wholly:\n{told}")
    if not report.ok:
        raise typer.Exit(CorruptError.exit_code)


def _told(done: "Repair") -> list[str]:
    lines = [f"made again: {name}" for name in done.mended]
    lines += [f"removed: {name}" for name in done.removed]
    lines.append(f"{units.count(done.rendered, 'sprite')} rendered.")
    if done.left_out:
        left_out = f"{units.count(done.left_out, 'sprite')} could not be rendered when it was made"
        remedy = (
            f"job {done.retried} renders what is left: spritemill watch {done.retried}"
            if done.retried
            else "`spritemill retry` renders them, where its job is"
        )
        lines.append(f"{left_out}: {remedy}.")
    return lines


def _lines(found: "Diff") -> list[str]:
    from core.dataset.diff import KINDS

    if found.equal:
        return ["The datasets are equal: the same sprites in the same order.", *_fields(found)]
    rows = [
        (label, *(f"{counts.get(kind, 0):,}" for kind in KINDS))
        for label, counts in found.contexts.items()
        if set(counts) != {"same"}
    ]
    total = ("all", *(f"{found.count(kind):,}" for kind in KINDS))
    more = [f"and {len(rows) - _SHOWN:,} contexts more"] if len(rows) > _SHOWN else []
    table = columns(("context", *KINDS), [*rows[:_SHOWN], total], right=" ".join(KINDS))
    return [*table, *more, *_fields(found)]


def _fields(found: "Diff") -> list[str]:
    return [*_table("request", found.request), *_table("provenance", found.provenance)]


def _table(title: str, values: Mapping[str, tuple[Any, Any]]) -> list[str]:
    if not values:
        return []
    rows = [(name, _shown(one), _shown(two)) for name, (one, two) in values.items()]
    more = [f"and {len(rows) - _SHOWN:,} fields more"] if len(rows) > _SHOWN else []
    return ["", *columns((title, "first", "second"), rows[:_SHOWN]), *more]


def _shown(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _pairs(one: "Source", two: "Source", found: "Diff") -> bytes:
    """The changed sprites, the first's beside the second's."""
    from core.dataset import comparison
    from core.sprites import sheet

    keys = found.keys["changed"][:_PICTURES]
    rows: dict[str, list[Any]] = {key: [] for key in keys}
    for source in (one, two):
        for record, pixels in comparison.by_key(source, keys):
            rows[record.key].append(pixels)
    note = f"{found.count('changed'):,} sprites changed, {len(keys):,} shown: first, second"
    buffer = BytesIO()
    sheet.draw("Changed sprites", note, list(rows.items())).save(buffer, "PNG")
    return buffer.getvalue()
