"""The command that shows how sprites come out of noise: animate."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from core.errors import UsageError
from orchestrator.cli import units
from orchestrator.cli.asked import request_text
from orchestrator.cli.console import fields
from orchestrator.cli.request import Classes, Texts
from orchestrator.cli.session import session

_SPRITES = 8
_MOST_SPRITES = 64
_FRAMES = "25"
_MOST_WIDE = {"gif": 65_535, "webp": 16_383}
_MOST_PIXELS = 250_000_000
"""Of all frames: a gigabyte while they are put together."""

Show = Literal["noisy", "guess"]


def animate(
    context: typer.Context,
    request: Annotated[
        str | None,
        typer.Argument(metavar="[REQUEST]", help="A YAML or JSON file; - is standard input."),
    ] = None,
    class_: Classes = None,
    text: Texts = None,
    mixture: Annotated[
        list[str] | None, typer.Option(metavar="A=1,B=0.6", help="Without a file: classes mixed.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Without a file: the seed.")] = None,
    sampler: Annotated[str | None, typer.Option(help="In place of the request's.")] = None,
    steps: Annotated[int | None, typer.Option(help="In place of the request's.")] = None,
    sprites: Annotated[
        int, typer.Option("--sprites", "-n", min=1, max=_MOST_SPRITES, help="How many to show.")
    ] = _SPRITES,
    frames: Annotated[
        str, typer.Option(metavar="N|A,B,...", help="How many, or after which steps.")
    ] = _FRAMES,
    show: Annotated[
        Show, typer.Option(help="The noisy sprite, or the guess of what comes out of it.")
    ] = "noisy",
    scale: Annotated[int, typer.Option(min=1, max=32, help="Width of a pixel.")] = 4,
    columns: Annotated[int, typer.Option(min=1, help="Sprites side by side.")] = 4,
    out: Annotated[Path, typer.Option(metavar="FILE", help="A .gif or a .webp.")] = Path(
        "animation.gif"
    ),
) -> None:
    """Show how sprites come out of the noise, as an animated GIF or WebP.

    $ spritemill animate --class potion --steps 25 --out potion.webp
    """
    from orchestrator.animation import Film
    from orchestrator.animation import frames as numbers

    kind = _kind(out)
    asked = _asked(request, class_ or (), text or (), mixture or (), seed, sprites)
    call = session(context)
    with call.service() as service:
        asked = _sampled(asked, {"sampler": sampler, "steps": steps})
        made_of = service.check(asked)
        taken = numbers(frames, made_of.request.sampling.steps or 1)
        cell = (made_of.spec.size + max(1, made_of.spec.size // 16)) * scale  # with the gap
        _refuse_large(kind, sprites, len(taken), min(columns, sprites), cell)
        film = Film(sprites, taken, show, kind, scale, columns)
        made = service.animate(asked, film)
    _write(out, made)
    call.console.answer(
        {"file": str(out), "frames": film.frames, "bytes": len(made)},
        *fields((("animation", str(out)), ("size", units.size(len(made))),
                 ("frames", units.count(len(film.frames), "frame")))),
        brief=str(out),
    )  # fmt: skip


def _refuse_large(kind: str, sprites: int, frames: int, across: int, cell: int) -> None:
    """Raises UsageError for pictures that the format cannot hold, or a machine's memory."""
    sides = across * cell, -(-sprites // across) * cell
    if max(sides) > _MOST_WIDE[kind] or sides[0] * sides[1] * frames > _MOST_PIXELS:
        raise UsageError(
            f"{frames} frames of {sides[0]:,} x {sides[1]:,} pixels are too many for a {kind}.",
            remedy="Give a smaller --scale, fewer --frames or fewer sprites.",
        )


def _kind(out: Path) -> Literal["gif", "webp"]:
    kind = out.suffix.lower().removeprefix(".")
    if kind not in ("gif", "webp"):
        raise UsageError(f"out = {out}: it must end in .gif or .webp.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"out = {out}: its folder is not there.")
    return cast(Literal["gif", "webp"], kind)


def _asked(
    path: str | None,
    classes: Sequence[str],
    texts: Sequence[str],
    mixtures: Sequence[str],
    seed: int | None,
    sprites: int,
) -> str:
    """The request's text, from a file or from flags, never both. Raises UsageError."""
    contexts: list[dict[str, Any]] = [{"class": name} for name in classes]
    contexts += [{"text": words} for words in texts]
    contexts += [{"mixture": _mixture(parts)} for parts in mixtures]
    if path is None and not contexts:
        raise UsageError(
            "nothing is asked for.", remedy="Name a request file, or say --class NAME."
        )
    if path is None:
        each = -(-sprites // len(contexts))
        return json.dumps({"samples": each, "seed": seed or 0, "contexts": contexts})
    if contexts or seed is not None:
        raise UsageError(
            f"{path} says already what to show.",
            remedy="Give a request file, or --class, --text, --mixture and --seed, not both.",
        )
    return request_text(path)


def _mixture(parts: str) -> dict[str, float]:
    try:
        pairs = [part.split("=") for part in parts.split(",")]
        return {name.strip(): float(weight) for name, weight in pairs}
    except ValueError:
        raise UsageError(
            f"mixture = {parts}: classes with weights are needed, as potion=1,scroll=0.6."
        ) from None


def _sampled(text: str, given: dict[str, Any]) -> str:
    """The request with what the flags say of its sampling."""
    from core.request import document

    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return text
    values = document.parse(text)
    sampling = values.get("sampling") or {}
    if not isinstance(sampling, dict):
        return text  # the check tells what is wrong with it
    return json.dumps({**values, "sampling": {**sampling, **given}})


def _write(out: Path, made: bytes) -> None:
    try:
        out.write_bytes(made)
    except OSError as error:
        raise UsageError(f"out = {out}: it cannot be written: {error.strerror}.") from error
