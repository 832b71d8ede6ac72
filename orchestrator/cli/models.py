"""Commands about models: list, show, add, remove."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import UsageError
from orchestrator.cli import completion
from orchestrator.cli.console import columns, fields
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from orchestrator.models import Model

_HEAD = ("model", "size", "classes", "words", "title")

group = typer.Typer(no_args_is_help=True, help="Which models there are, and what they know.")


@group.command("list")
def list_(context: typer.Context) -> None:
    """List the models that requests may name.

    $ spritemill models list
    """
    call = session(context)
    with call.service() as service:
        found = service.models()
    lines = columns(_HEAD, map(_row, found), right="classes words")
    call.console.answer(
        [_document(model) for model in found],
        *lines,
        brief="\n".join(model.spec.name for model in found),
    )


@group.command()
def show(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The model.", autocompletion=completion.models)
    ] = "dungeon-32",
) -> None:
    """Show a model's classes and words, the vocabulary of requests.

    $ spritemill models show dungeon-32
    """
    from core.request.sampling import in_words

    call = session(context)
    with call.service() as service:
        found = service.model(name)
    spec = found.spec
    call.console.answer(
        _document(found),
        *fields(
            (
                ("model", f"{spec.name}: {spec.title}"),
                ("size", f"{spec.size}x{spec.size}"),
                ("weights", found.weights),
                ("licence", spec.licence),
                ("data", spec.data),
                ("sampling", in_words(spec.defaults)),
                ("classes", " ".join(spec.classes)),
                ("words", f"{' '.join(spec.words)}; and every class"),
            )
        ),
        brief=" ".join(spec.classes),
    )


@group.command()
def add(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Weights that train has written.")],
    name: Annotated[str, typer.Option(help="Another name than the file says.")] = "",
) -> None:
    """Register a model, so that requests may name it and all workers find it.

    $ spritemill models add run/model.safetensors --name forest-32
    """
    call = session(context)
    try:
        file.open("rb").close()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    with call.service() as service:
        added = service.add_model(file, name)
    call.console.answer(
        _document(added),
        f"{added.spec.name} is registered: requests may say `model: {added.spec.name}`.",
        f"weights {added.weights}",
        brief=added.weights,
    )


@group.command()
def remove(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The model, or its hash.", autocompletion=completion.models
        ),
    ],
) -> None:
    """Forget a registered model; not while a job that is not over draws with it.

    $ spritemill models remove forest-32
    """
    call = session(context)
    with call.service() as service:
        removed = service.remove_model(name)
    call.console.answer(_document(removed), f"Removed {removed.spec.name}.", brief=removed.weights)


def _row(model: "Model") -> tuple[str, ...]:
    spec = model.spec
    sizes = (f"{spec.size}x{spec.size}", f"{len(spec.classes):,}", f"{len(spec.words):,}")
    return (spec.name, *sizes, spec.title)


def _document(model: "Model") -> dict[str, Any]:
    known = model.spec.model_dump(mode="json", exclude={"unet"})
    return {**known, "weights": model.weights, "bundled": model.bundled}
