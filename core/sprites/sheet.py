"""The contact sheet: a row of sprites for each context, beside its name."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Row = tuple[str, Sequence[NDArray[np.uint8]]]
"""A label and sprites [S, S, 4], all of one size."""

_CELL = 96  # a sprite is drawn at the largest whole scale that fits, at least its own size
_GAP = 6
_MARGIN = 24
_LABEL = 260
_LINES = 3
_COLUMNS = 4  # at least, for the title's sake
_SQUARE = 8
_PAPER, _INK, _FAINT = (250, 249, 246), (38, 36, 34), (138, 134, 128)
_LIGHT, _DARK = (236, 234, 229), (226, 223, 217)


def draw(title: str, note: str, rows: Sequence[Row]) -> Image.Image:
    """The sheet as RGB: `title` and `note` on top, then a line for each of `rows`."""
    size = next((sprite.shape[0] for _, sprites in rows for sprite in sprites), _CELL)
    scale = max(1, _CELL // size)
    cell = size * scale
    columns = max([_COLUMNS, *(len(sprites) for _, sprites in rows)])
    top = _MARGIN + 58
    width = _MARGIN * 2 + _LABEL + columns * (cell + _GAP) - _GAP
    sheet = Image.new("RGB", (width, top + len(rows) * (cell + _GAP) - _GAP + _MARGIN), _PAPER)
    pen = ImageDraw.Draw(sheet)
    head, text = ImageFont.load_default(size=26), ImageFont.load_default(size=15)
    inner = width - 2 * _MARGIN
    pen.text((_MARGIN, _MARGIN - 6), _fit(pen, title, head, inner, 1)[0], _INK, head)
    pen.text((_MARGIN, _MARGIN + 28), _fit(pen, note, text, inner, 1)[0], _FAINT, text)
    board = _checkerboard(cell)
    for number, (label, sprites) in enumerate(rows):
        y = top + number * (cell + _GAP)
        lines = "\n".join(_fit(pen, label, text, _LABEL - 16, _LINES))
        pen.multiline_text((_MARGIN, y + cell // 2), lines, _INK, text, anchor="lm")
        for column, sprite in enumerate(sprites):
            place = (_MARGIN + _LABEL + column * (cell + _GAP), y)
            sheet.paste(_cell(sprite, scale, board), place)
    return sheet


def _cell(sprite: NDArray[np.uint8], scale: int, board: Image.Image) -> Image.Image:
    large = sprite.repeat(scale, axis=0).repeat(scale, axis=1)
    return Image.alpha_composite(board, Image.fromarray(large))


def _checkerboard(cell: int) -> Image.Image:
    places = np.add.outer(np.arange(cell) // _SQUARE, np.arange(cell) // _SQUARE) % 2
    pixels = np.array([(*_LIGHT, 255), (*_DARK, 255)], dtype=np.uint8)[places]
    return Image.fromarray(pixels)


def _fit(
    pen: ImageDraw.ImageDraw,
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    width: int,
    most: int,
) -> list[str]:
    """The text in at most `most` lines of `width` pixels, cut with three dots."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, font) <= width or not lines[-1]:
            lines[-1] = longer
        elif len(lines) < most:
            lines.append(word)
        else:
            lines[-1] += " ..."
            break
    return [_cut(pen, line, font, width) for line in lines]


def _cut(
    pen: ImageDraw.ImageDraw,
    line: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    width: int,
) -> str:
    if pen.textlength(line, font) <= width:
        return line
    line = line.removesuffix(" ...")
    while line and pen.textlength(line + "...", font) > width:
        line = line[:-1]
    return line + "..."
