"""Palettes that have names, in their own order.

Sources: PICO-8's manual (Lexaloffle); R. Fhager's DawnBringer 16 and 32; GrafxKid's Sweetie 16; the
four greens by which the first Game Boy's screen is known.
"""

from typing import Literal

Name = Literal["pico-8", "db16", "db32", "sweetie-16", "game-boy"]

PALETTES = {
    "pico-8": """
        000000 1d2b53 7e2553 008751 ab5236 5f574f c2c3c7 fff1e8
        ff004d ffa300 ffec27 00e436 29adff 83769c ff77a8 ffccaa""",
    "db16": """
        140c1c 442434 30346d 4e4a4e 854c30 346524 d04648 757161
        597dce d27d2c 8595a1 6daa2c d2aa99 6dc2ca dad45e deeed6""",
    "db32": """
        000000 222034 45283c 663931 8f563b df7126 d9a066 eec39a
        fbf236 99e550 6abe30 37946e 4b692f 524b24 323c39 3f3f74
        306082 5b6ee1 639bff 5fcde4 cbdbfc ffffff 9badb7 847e87
        696a6a 595652 76428a ac3232 d95763 d77bba 8f974a 8a6f30""",
    "sweetie-16": """
        1a1c2c 5d275d b13e53 ef7d57 ffcd75 a7f070 38b764 257179
        29366f 3b5dc9 41a6f6 73eff7 f4f4f4 94b0c2 566c86 333c57""",
    "game-boy": "0f380f 306230 8bac0f 9bbc0f",
}


def named(palette: object) -> object:
    """The colours of a palette's name; anything else as it is. Raises ValueError."""
    if not isinstance(palette, str):
        return palette
    colours = PALETTES.get(palette)
    if colours is None:
        raise ValueError(f"it must be a list of colours, a number or one of {', '.join(PALETTES)}")
    return tuple(f"#{colour}" for colour in colours.split())
