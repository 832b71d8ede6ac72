"""The command that makes a model of sprites: train."""

import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from core.errors import UsageError
from core.training.options import CHECKPOINT, NAME, Network, Options
from orchestrator.cli import units
from orchestrator.cli.console import Console, fields
from orchestrator.cli.interrupt import heeded, interrupted, same_command
from orchestrator.cli.progress import Progress
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from orchestrator.training import Training

_LINE_SECONDS = 30.0

Recipe = Literal["plain", "dungeon"]
Channels = Literal["auto", "1", "3", "4"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "bf16", "fp32"]
Compile = Literal["auto", "yes", "no"]


def train(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of sprites, or arrays.")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder of the run.")],
    name: Annotated[str, typer.Option(help="The model's name; else the folder's.")] = "",
    title: Annotated[str, typer.Option(help="The model's title.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "unknown",
    source: Annotated[str, typer.Option(help="Where the sprites come from.")] = "",
    network: Annotated[Network, typer.Option(help="Which network.")] = "unet",
    recipe: Annotated[Recipe, typer.Option(help="Which sprites, and as what.")] = "plain",
    size: Annotated[int, typer.Option(metavar="PIXELS", help="Width and height.")] = 32,
    channels: Annotated[Channels, typer.Option(help="Grey, colour, or with alpha.")] = "auto",
    classes: Annotated[
        str, typer.Option(metavar="A,B,...", help="Names for the numbered classes of arrays.")
    ] = "",
    times: Annotated[int, typer.Option(min=2, max=1000, help="T of the context-unet.")] = 500,
    minutes: Annotated[
        float,
        typer.Option(
            min=0, show_default=False, help="Time to train; 60 if --images is not said either."
        ),
    ] = 0.0,
    images: Annotated[int, typer.Option(min=0, help="Sprites to show it, at most.")] = 0,
    batch: Annotated[int, typer.Option(min=0, help="Sprites in a step; 0 is chosen.")] = 0,
    rate: Annotated[float, typer.Option(min=0, help="Learning rate; 0 is chosen.")] = 0.0,
    mirror: Annotated[bool, typer.Option("--mirror", help="Show half of them mirrored.")] = False,
    shift: Annotated[bool, typer.Option("--shift", help="Move them by a pixel at times.")] = False,
    recolour: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share whose colours change places.")
    ] = 0.0,
    held_out: Annotated[float, typer.Option(min=0, max=0.5, help="Share to test on.")] = 0.02,
    seed: Annotated[int, typer.Option(min=0, max=2**30, help="Other seed, other model.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from its checkpoint.")] = False,
    begin_from: Annotated[
        str, typer.Option("--from", metavar="FILE", help="Begin with these weights.")
    ] = "",
    look: Annotated[
        float, typer.Option(min=0, metavar="MINUTES", help="Between checkpoints and sheets.")
    ] = 10.0,
    device: Annotated[Device, typer.Option(help="Where to train.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="bf16 is mixed.")] = "auto",
    compiled: Annotated[Compile, typer.Option("--compile", help="By torch.compile.")] = "auto",
) -> None:
    """Make a model of a folder of sprites. Interrupted, the same with --resume goes on.

    $ spritemill train sprites --out run --minutes 90
    """
    from orchestrator.training import Training

    options = Options(
        data=_existing(data), out=str(out), name=name or _named(out), title=title,
        licence=licence, source=source or data.absolute().name, recipe=recipe, network=network,
        size=size,
        channels=channels, classes=tuple(filter(None, classes.split(","))), times=times,
        minutes=minutes, images=images, batch=batch, rate=rate, mirror=mirror, shift=shift,
        recolour=recolour, held_out=held_out, seed=seed, resume=resume, begin_from=begin_from,
        look_minutes=look, device=device, precision=precision, compile=compiled,
    )  # fmt: skip
    console = session(context).console
    done = _follow(console, Training(options), options.name)
    if not done["finished"]:
        raise interrupted(console, _interrupted(done, out))
    if not console.json:
        _tell(console, done, out)


def _follow(console: Console, training: "Training", name: str) -> dict[str, Any]:
    """Show its events; the last of them, or what stands for it when it was ended at once."""
    shown = _Shown()
    done: dict[str, Any] = {"finished": False, "model": None}
    with _forwarded(training), Progress(console, name, shown.amount) as progress:
        for event in training.events():
            if console.json:
                console.event(event, "")
            elif event["event"] == "begin":
                console.remark(_begun(event))
            elif event["event"] != "done":
                shown.update(progress, event)
            if event["event"] == "done":
                done = event
    return done


class _Shown:
    """What the progress bar says; without a terminal, less often."""

    def __init__(self) -> None:
        self._images = 0
        self._tested = ""
        self._said = 0.0

    def amount(self, _done: int, _total: int) -> str:
        return units.count(self._images, "image")

    def update(self, progress: Progress, event: dict[str, Any]) -> None:
        self._images = event["images"]
        if event.get("validation_loss") is not None:
            self._tested = f"validation {event['validation_loss']:.4f}"
        now = time.monotonic()
        if not sys.stderr.isatty() and now - self._said < _LINE_SECONDS:
            return
        self._said = now
        loss = "" if event["loss"] is None else f"loss {event['loss']:.4f}"
        progress.update(
            round(event["spent"] * 1000), 1000, state=", ".join(filter(None, (loss, self._tested))),
            rate=event["images_per_second"], eta=event["seconds_left"],
        )  # fmt: skip


@contextmanager
def _forwarded(training: "Training") -> Iterator[None]:
    """Signals to stop go to the training, which saves and ends; a second one ends it at once."""
    before = heeded()
    for number in before:
        signal.signal(number, lambda _number, _frame: training.stop())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _existing(data: Path) -> str:
    if not data.exists():
        raise UsageError(f"data = {data}: there is nothing of that name.")
    return str(data)


def _named(out: Path) -> str:
    """The run's folder as a model's name, as far as it can be one."""
    name = re.sub(r"[^a-z0-9._-]+", "-", out.absolute().name.lower()).strip("._-")[:63]
    return name if NAME.fullmatch(name) else "model"


def _begun(event: dict[str, Any]) -> str:
    held = units.count(event["held_out"], "sprite") if event["held_out"] else "none"
    return (
        f"{units.count(event['sprites'], 'sprite')} to learn from, {held} held out; "
        f"{event['classes']} classes, {event['words']} words; "
        f"{event['size']}x{event['size']}x{event['channels']} pixels.\n"
        f"{event['network']} of {event['parameters'] / 1e6:.1f} million parameters; batch "
        f"{event['batch']}, rate {event['rate']:.2g}, on {event['device']} in {event['precision']}"
        f"{', compiled' if event['compiled'] else ''}."
    )


def _interrupted(done: dict[str, Any], out: Path) -> str:
    if done["model"] is not None:
        kept = f"after {done['step']} steps, kept in {out}"
    elif (out / CHECKPOINT).is_file():
        kept = f"at once: what came after the last checkpoint in {out} is lost"
    else:
        return "Interrupted before anything was learnt."
    command = re.sub(r" --from(=| )('[^']*'|\S+)", "", same_command())  # its weights are kept
    resume = command if "--resume" in command else f"{command} --resume"
    return f"Interrupted {kept}. Go on with:\n  {resume}"


def _tell(console: Console, done: dict[str, Any], out: Path) -> None:
    model = done["model"]
    console.answer(
        done,
        f"Trained on {units.count(done['images'], 'image')} in {units.duration(done['seconds'])}.",
        *fields(
            (
                ("model", model),
                ("sheet", str(out / f"sheet-{done['step']:06d}.png")),
                ("losses", f"{out / 'loss.png'}, {out / 'history.csv'}"),
                ("next", f"spritemill models add {model}"),
            )
        ),
        brief=model,
    )
