"""Commands about single sprites: show, regenerate."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import EXIT_FAILED
from orchestrator.cli import units
from orchestrator.cli.console import fields
from orchestrator.cli.dataset import write_file
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from core.dataset.comparison import Pair
    from orchestrator.trust import Shown

_SAMPLE = "DATASET/NUMBER or DATASET/KEY; without a dataset, of the latest job."


def show(
    context: typer.Context,
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help=_SAMPLE)],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the sprite there, as PNG.")
    ] = None,
) -> None:
    """Show one sprite: the picture, and where it comes from.

    $ spritemill show latest/17 --out potion.png
    """
    from orchestrator import trust

    call = session(context)
    with call.service() as service:
        found = trust.show(service, sample)
    if out is not None:
        write_file(out, found.png)
    if call.console.draws:
        from orchestrator.cli.drawing import draw

        typer.echo("\n".join(draw(found.png, shutil.get_terminal_size().columns)))
    call.console.answer(found.document, *_lines(found), brief=found.record.key)


def regenerate(
    context: typer.Context,
    samples: Annotated[list[str], typer.Argument(metavar="SAMPLE...", help=_SAMPLE)],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write what was rendered, as PNG files.")
    ] = None,
) -> None:
    """Render sprites of a dataset again, here, and compare them with the stored ones.

    $ spritemill regenerate latest/17 latest/18 --out again
    """
    from core.dataset import png
    from orchestrator import trust

    call = session(context)
    equal = True
    with call.service() as service:
        for pair, differs in trust.regenerate(service, samples):
            equal = equal and not pair.largest
            if out is not None:
                write_file(out / f"{pair.record.key}.png", png.encode(pair.here))
            call.console.event(_document(pair, differs), _line(pair, differs))
    if not equal:
        raise typer.Exit(EXIT_FAILED)


def _lines(found: "Shown") -> list[str]:
    record = found.record
    scores = ", ".join(f"{name} {value:g}" for name, value in sorted(record.scores.items()))
    attempt = f", attempt {found.attempt}" if found.attempt else ""
    return fields(
        (
            ("key", record.key),
            ("number", f"{record.number:,}"),
            ("context", f"{record.context_label} ({record.context_id})"),
            ("index", f"{record.index:,}"),
            ("caption", record.caption),
            ("seed", record.seed),
            ("scores", scores),
            ("pixels", f"sha256 {record.sha256}"),
            ("file", units.size(len(found.png))),
            ("shard", found.shard),
            ("worker", f"{found.worker}{attempt}" if found.worker else ""),
        )
    )


def _document(pair: "Pair", differs: str) -> dict[str, Any]:
    record = pair.record
    document = {"key": record.key, "number": record.number, "equal": not pair.largest}
    return {**document, "largest": pair.largest, "numerics": differs}


def _line(pair: "Pair", differs: str) -> str:
    if not pair.largest:
        return f"{pair.record.key}: the same"
    why = f" ({differs})" if differs else ""
    return f"{pair.record.key}: differs by up to {pair.largest} of 255{why}"
