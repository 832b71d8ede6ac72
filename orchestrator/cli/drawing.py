"""A picture in a terminal: two pixels a character, by half blocks in 24-bit colour."""

import io

HALF_BLOCK = "\u2580"
_RESET = "\x1b[0m"


def draw(png: bytes, columns: int) -> list[str]:
    """The lines of a PNG at most `columns` wide, shrunk by whole factors, on black."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    backed = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture)
    factor = max(1, -(-backed.width // columns))
    size = (max(1, backed.width // factor), max(2, backed.height // factor // 2 * 2))
    small = backed.convert("RGB").resize(size, Image.Resampling.BOX)
    pixels = small.tobytes()
    return [_line(pixels, row, size[0]) for row in range(0, size[1], 2)]


def _line(pixels: bytes, row: int, width: int) -> str:
    cells, before = [], ""
    for column in range(width):
        upper = 3 * (row * width + column)
        lower = upper + 3 * width
        top = ";".join(str(value) for value in pixels[upper : upper + 3])
        bottom = ";".join(str(value) for value in pixels[lower : lower + 3])
        colours = f"\x1b[38;2;{top};48;2;{bottom}m"
        cells.append(HALF_BLOCK if colours == before else colours + HALF_BLOCK)
        before = colours
    return "".join(cells) + _RESET
