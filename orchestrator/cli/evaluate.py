"""The command that tells how good sprites are: evaluate."""

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import NotFoundError, UsageError
from core.evaluation.options import Kind, Options, RecipeName
from orchestrator.cli.console import columns
from orchestrator.cli.progress import Progress, sprites
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from orchestrator.service import Service

_LARGEST = 20_000
_HEAD = ("class", "samples", "agreement", "real", "memorised", "near-duplicates")


def evaluate(
    context: typer.Context,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|DATASET|JOB", help="A model's name or file, a folder, or a job."
        ),
    ],
    real: Annotated[Path, typer.Option(metavar="DATA", help="The sprites it learnt from.")],
    samples: Annotated[
        int, typer.Option("--samples", "-n", min=1, max=_LARGEST, help="Sprites to look at.")
    ] = 2100,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write.")] = Path("evaluation"),
    recipe: Annotated[RecipeName, typer.Option(help="The one it was trained with.")] = "auto",
    held_out: Annotated[
        float, typer.Option(min=0, max=0.5, help="The share it was trained without.")
    ] = 0.02,
    seed: Annotated[int, typer.Option(min=0, help="The seed it was trained with.")] = 0,
    classes: Annotated[
        str, typer.Option(metavar="A,B,...", help="The classes it was trained with, of arrays.")
    ] = "",
    steps: Annotated[
        str, typer.Option(metavar="N,N,...", help="Measure a model with these steps too,")
    ] = "",
    samplers: Annotated[
        str, typer.Option(metavar="NAME,...", help="of these samplers, or of its own.")
    ] = "",
) -> None:
    """Measure sprites beside real ones: likeness, class, variety, copies. As JSON and a page.

    $ spritemill evaluate dungeon-32 --real sprites --out evaluation
    """
    from orchestrator.evaluation import evaluate as measure

    call = session(context)
    if not real.exists():
        raise UsageError(f"real = {real}: there is no such folder or file.")
    if real.is_dir() and not any(real.iterdir()):
        raise UsageError(f"real = {real}: the folder is empty.", remedy="Name one of sprites.")
    with call.service() as service:
        kind, found = _resolved(subject, service)
    if steps and kind in ("folder", "job"):
        raise UsageError(f"steps = {steps}: a dataset is drawn already.", remedy="Name a model.")
    if samplers and not steps:
        raise UsageError(
            f"samplers = {samplers}: it is not said with how many steps.",
            remedy="Please give --steps.",
        )
    options = Options(
        kind=kind, subject=found, name=Path(subject).name, real=str(real.resolve()),
        out=str(out), samples=samples, recipe=recipe, held_out=held_out, seed=seed,
        steps=_numbers(steps), samplers=tuple(filter(None, samplers.split(","))),
        classes=tuple(filter(None, classes.split(","))),
    )  # fmt: skip
    with Progress(call.console, options.name, _amount) as progress:
        files = measure(
            options, call.settings(),
            lambda state, done, total: progress.update(done, total, state=state),
        )  # fmt: skip
    report = json.loads(Path(files[0]).read_text(encoding="utf-8"))
    call.console.answer(
        {"files": files, **report}, *_lines(report), "", f"Wrote {files[1]}.", brief=files[1]
    )


def _resolved(subject: str, service: "Service") -> tuple[Kind, str]:
    path = Path(subject)
    if path.is_dir():
        return "folder", str(path.resolve())
    if path.is_file():
        return "file", str(path.resolve())
    with suppress(NotFoundError):
        return "weights", service.model(subject).weights
    from orchestrator.datasets import refuse_unfinished

    try:
        job = service.status(subject).job
    except NotFoundError as error:
        raise NotFoundError(
            f"{subject}: there is no model, folder, file or job of that name.",
            remedy="`spritemill models list` and `spritemill list` name them.",
        ) from error
    refuse_unfinished(job)
    return "job", job.id


def _amount(done: int, total: int) -> str:
    """Nothing while sprites are not counted."""
    return sprites(done, total) if total > 1 else ""


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(",") if word)
    except ValueError:
        raise UsageError(
            f"steps = {text}: whole numbers are wanted.", remedy="Give them as 4,8,25."
        ) from None


def _lines(report: dict[str, Any]) -> list[str]:
    rows = [("all", report["overall"]), *report["of_class"].items()]
    lines = columns(_HEAD, (_row(name, of) for name, of in rows), right=" ".join(_HEAD[1:]))
    held, real = report["overall"]["to_held_out"], report["overall"]["training_to_held_out"]
    if held and real:
        mine, theirs = held["kernel"], real["kernel"]
        lines += [
            "",
            f"kernel distance to held-out sprites {mine['value']:.3g} "
            f"({mine['low']:.3g} to {mine['high']:.3g}); of training sprites {theirs['value']:.3g}",
        ]
    return lines


def _row(name: str, of: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        f"{of['samples']['sprites']:,}",
        _share(of["samples"]["agreement"]),
        _share(of["unseen"]["agreement"] if of["unseen"] else None),
        _share(of["copies"]["memorised"]),
        _share(of["copies"]["near_duplicates"]),
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
