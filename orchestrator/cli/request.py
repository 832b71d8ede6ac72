"""Commands about a request before anything is made of it: init, check, plan, schema."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import UsageError
from orchestrator.cli import completion, units
from orchestrator.cli.asked import request_text
from orchestrator.cli.console import encode, fields
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from core.request.estimate import Estimate
    from core.request.plan import Plan

Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class", help="Without a file: a class to make.", autocompletion=completion.classes
    ),
]
Texts = Annotated[list[str] | None, typer.Option(help="Without a file: a text to make.")]
RequestFile = Annotated[
    str, typer.Argument(metavar="REQUEST", help="A YAML or JSON file; - is standard input.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", "-w", min=0, metavar="N", help="Worker processes.")
]
_TEMPLATE = Path(__file__).with_name("first_request.yaml")


def init(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="Where to; - is standard output.")] = "request.yaml",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a first request, with comments, to edit and run.

    $ spritemill init && spritemill run request.yaml
    """
    text = _TEMPLATE.read_text(encoding="utf-8")
    if file == "-":
        typer.echo(text, nl=False)
        return
    try:
        with Path(file).open("w" if force else "x", encoding="utf-8") as out:
            out.write(text.replace("request.yaml", quote(file)))
    except (FileExistsError, IsADirectoryError):
        if Path(file).is_dir():
            raise UsageError(f"{file} is a folder.", remedy="Name a file to write.") from None
        raise UsageError(f"{file} is there already.", remedy="Use --force to replace it.") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.") from error
    session(context).console.answer(
        {"file": file}, f"Wrote {file}. Next: spritemill run {quote(file)}", brief=file
    )


def check(context: typer.Context, request: RequestFile) -> None:
    """Tell every fault of a request, or that it is good. Costs nothing.

    $ spritemill check request.yaml
    """
    call = session(context)
    with call.service() as service:
        made = service.check(request_text(request))
    name = "The request" if request == "-" else request
    call.console.answer(
        _counts(made),
        f"{name} is good: {units.count(made.total, 'sprite')} of "
        f"{units.count(made.context_count, 'context')} in "
        f"{units.count(made.shard_count, 'shard')}.",
    )


def schema() -> None:
    """Print the request's JSON Schema, for editors and other programs.

    $ spritemill schema > request.schema.json
    """
    from core.request.spec import json_schema

    typer.echo(encode(json_schema(), indent=2))


def plan(context: typer.Context, request: RequestFile, workers: Workers = None) -> None:
    """Say what a request would take, after a short calibration. Makes nothing.

    $ spritemill plan request.yaml --workers 4
    """
    call = session(context)
    with call.service(workers=workers) as service:
        service.check(text := request_text(request))
        call.console.remark("Rendering two tiles to see how long it takes ...")
        found = service.estimate(text, workers)
    expected = found.estimate
    call.console.answer(
        found,
        *fields(
            (
                ("sprites", _sprites(expected)),
                ("contexts", f"{expected.contexts:,}"),
                ("shards", f"{expected.shards:,}"),
                ("size", f"about {units.size(expected.bytes)}"),
                ("rate", f"{units.rate(found.rate)} of a worker, as measured here"),
                ("work", f"{units.duration(expected.worker_seconds)} of one worker"),
                (
                    "ready in",
                    f"{units.duration(found.load_seconds + expected.seconds)} with "
                    f"{units.count(found.workers, 'worker')}",
                ),
            )
        ),
        brief=f"{expected.worker_seconds:.1f}",
    )


def _sprites(expected: "Estimate") -> str:
    kept = expected.samples - expected.new
    return f"{expected.samples:,}" + (f", of which the parent has {kept:,}" if kept else "")


def _counts(made: "Plan") -> dict[str, int]:
    return {
        "samples": made.total,
        "contexts": made.context_count,
        "shards": made.shard_count,
        "shard_samples": made.shard_samples,
    }
