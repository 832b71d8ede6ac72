"""Draw the documentation's pictures with the bundled model: `python docs/pictures.py [NAME ...]`.

None is picked by hand: each shows the first sprites of what its caption names.
"""

import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core import weights
from core.diffusion.device import pick_device
from core.diffusion.model import load_model
from core.request import load
from core.request.plan import Shard, plan
from core.request.spec import Request
from core.sprites.sheet import draw
from core.training import samples
from workers import renderer
from workers.render import Unwatched, render_samples

Sprite = NDArray[np.uint8]

_ROOT = Path(__file__).parents[1]
_IMAGES, _EXAMPLES = _ROOT / "docs" / "images", _ROOT / "examples"
_MANY = ("hero", "altar", "armour", "book", "floor", "food", "gateway", "potion", "wand", "spell")
_SIX = ("hero", "altar", "book", "potion", "wand", "spell")
_COLOURS: tuple[dict[str, int | str], ...] = (
    {},
    {"colours": 16},
    {"palette": "db32"},
    {"palette": 32},
    {"palette": "game-boy"},
)
_TOLD = (
    "staff", "robe", "shield", "axe", "hood", "blue robe", "red cloak", "robe and shield",
    "sword and cloak", "skirt and staff", "blue robe, sword and shield",
)  # fmt: skip
_PAPER = (250, 249, 246, 255)


def colours() -> None:
    """One sprite of ten classes as drawn, then with fewer colours in four ways."""
    contexts = [{"class": name} for name in _MANY]
    asked = ({"seed": 3, "samples": 62, "contexts": contexts, "pixels": p} for p in _COLOURS)
    rows = [[row[0] for row in _drawn(load.check(each), 1)] for each in asked]
    _board(rows, scale=3, gap=6).save(_IMAGES / "colours.png")


def denoising() -> None:
    """A sprite of six classes, coming out of the noise."""
    classes = [f"--class={name}" for name in _SIX]
    how = ["-n6", "--columns=6", "--seed=3", "--scale=3", "--frames=10"]
    _spritemill("animate", *classes, *how, f"--out={_IMAGES / 'denoising.gif'}")


def model() -> None:
    """The sheet of the model's card."""
    bundled = load_model(weights.bundled(), pick_device())
    sheet = samples.draw(bundled, bundled.spec.trained, 8)
    sheet.save(weights.bundled().with_suffix(".png"), optimize=True)


def quickstart() -> None:
    """The contact sheet of the quickstart's dataset."""
    with TemporaryDirectory() as home:
        _spritemill("run", str(_EXAMPLES / "quickstart.yaml"), f"--home={home}")
        (sheet,) = Path(home).rglob("preview.png")
        with Image.open(sheet) as drawn:
            drawn.convert("P", palette=Image.Palette.ADAPTIVE).save(_IMAGES / "quickstart.png")


def tiles() -> None:
    """The first four of each context, each laid three by three."""
    rows = _drawn(load.load(_EXAMPLES / "tiles.yaml"), 4)
    laid = [[np.tile(sprite, (3, 3, 1)) for sprite in row] for row in rows]
    _board(laid, scale=2, gap=12).save(_IMAGES / "tiles.png")


def variations() -> None:
    """The first of each context, beside the potion or the mask that they start from."""
    rows = _drawn(load.load(_EXAMPLES / "variations.yaml"), 7)
    given = [_read(name) for name in ("potion", "potion", "potion-mask", "potion-mask")]
    beside = [[start, *row] for start, row in zip(given, rows, strict=True)]
    _board(beside, scale=3, gap=6).save(_IMAGES / "variations.png")


def words() -> None:
    """Heroes told of one part, of a colour with it, and of several at once."""
    contexts = [{"class": "hero", "text": text} for text in _TOLD]
    rows = _drawn(load.check({"seed": 0, "samples": 10, "contexts": contexts}), 10)
    note = "the first ten heroes of each text, seed 0"
    draw("Told in words", note, list(zip(_TOLD, rows, strict=True))).save(_IMAGES / "words.png")


def without_extra_noise() -> None:
    """What the course's mistake looks like."""
    script = _EXAMPLES / "without-extra-noise.py"
    subprocess.run([sys.executable, script, _IMAGES / "without-extra-noise.png"], check=True)


def _drawn(request: Request, count: int) -> list[list[Sprite]]:
    """The first `count` sprites of each context, as a dataset would hold them."""
    path = weights.bundled()
    made = plan(request, weights.read_spec(path))
    wanted = [each for each in made.samples(Shard(0, 0, made.total)) if each.index < count]
    images = render_samples(made, wanted, renderer.load(path), Unwatched())
    found = zip(wanted, images, strict=True)
    return [[image for _, image in row] for _, row in groupby(found, lambda each: each[0].context)]


def _board(rows: Sequence[Sequence[Sprite]], scale: int, gap: int) -> Image.Image:
    """Sprites in rows on paper, enlarged by `scale`, with `gap` pixels between them."""
    cell = rows[0][0].shape[0] * scale
    size = tuple(many * (cell + gap) - gap for many in (len(rows[0]), len(rows)))
    board = Image.new("RGBA", size, _PAPER)
    for y, row in enumerate(rows):
        for x, sprite in enumerate(row):
            large = Image.fromarray(sprite.repeat(scale, axis=0).repeat(scale, axis=1))
            board.alpha_composite(large, (x * (cell + gap), y * (cell + gap)))
    return board.convert("RGB")


def _read(name: str) -> Sprite:
    with Image.open(_EXAMPLES / f"{name}.png") as opened:
        return np.asarray(opened.convert("RGBA"))


def _spritemill(*arguments: str) -> None:
    subprocess.run([Path(sys.executable).with_name("spritemill"), *arguments], check=True)


_PICTURES = {
    each.__name__.replace("_", "-"): each
    for each in (
        colours,
        denoising,
        model,
        quickstart,
        tiles,
        variations,
        words,
        without_extra_noise,
    )
}


if __name__ == "__main__":
    for name in sys.argv[1:] or _PICTURES:
        _PICTURES[name]()
