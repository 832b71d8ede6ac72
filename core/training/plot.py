"""The losses of a run as a picture."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from core.training.history import Moment

_WIDTH, _HEIGHT = 960, 480
_LEFT, _TOP, _RIGHT, _BOTTOM = 76, 64, 24, 48
_PAPER, _INK, _FAINT, _GRID = (250, 249, 246), (38, 36, 34), (138, 134, 128), (226, 223, 217)
_TRAINED, _HELD_OUT = (52, 101, 164), (204, 88, 3)
_TICKS = 5

Points = list[tuple[float, float]]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw(title: str, moments: Sequence[Moment]) -> Image.Image:
    """Training and validation loss against images seen, the losses on a logarithmic scale."""
    trained: Points = [(m.images, m.loss) for m in moments if m.loss > 0]
    tested: Points = [(m.images, m.validation_loss) for m in moments if m.validation_loss]
    sheet = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_LEFT, 14), title, _INK, ImageFont.load_default(size=20))
    text = ImageFont.load_default(size=14)
    for place, colour, name in ((0, _TRAINED, "training"), (110, _HELD_OUT, "validation")):
        pen.line([(_LEFT + place, 52), (_LEFT + place + 18, 52)], colour, 3)
        pen.text((_LEFT + place + 24, 43), name, _FAINT, text)
    if trained:
        axes = _Axes([*trained, *tested])
        axes.draw(pen, text)
        _curve(pen, axes, trained, _TRAINED)
        _curve(pen, axes, tested, _HELD_OUT, dots=True)
    return sheet


class _Axes:
    """From images and losses to pixels."""

    def __init__(self, points: Points) -> None:
        levels = [math.log(loss) for _, loss in points]
        room = max(0.02, (max(levels) - min(levels)) * 0.05)
        self.low, self.high = min(levels) - room, max(levels) + room
        self.last = max(images for images, _ in points)

    def at(self, images: float, loss: float) -> tuple[float, float]:
        across = images / self.last
        up = (math.log(loss) - self.low) / (self.high - self.low)
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    def draw(self, pen: ImageDraw.ImageDraw, font: Font) -> None:
        for tick in range(_TICKS):
            share = tick / (_TICKS - 1)
            loss = math.exp(self.low + share * (self.high - self.low))
            images = share * self.last
            _, y = self.at(0, loss)
            x, bottom = self.at(images, math.exp(self.low))
            pen.line([(_LEFT, y), (_WIDTH - _RIGHT, y)], _GRID)
            pen.text((_LEFT - 8, y), f"{loss:.3g}", _FAINT, font, anchor="rm")
            anchor = "mt" if 0 < tick < _TICKS - 1 else ("lt" if tick == 0 else "rt")
            name = f"{images:,.0f}" + (" images" if tick == _TICKS - 1 else "")
            pen.text((x, bottom + 10), name, _FAINT, font, anchor=anchor)


def _curve(
    pen: ImageDraw.ImageDraw, axes: _Axes, points: Points, colour: tuple[int, int, int],
    *, dots: bool = False,
) -> None:  # fmt: skip
    places = [axes.at(*point) for point in points]
    if len(places) > 1:
        pen.line(places, colour, 2, joint="curve")
    for x, y in places if dots or len(places) == 1 else ():
        pen.ellipse([x - 3, y - 3, x + 3, y + 3], colour)
