"""What the bundled model is made to do: tiles without seams, parts kept, the denoising filmed."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.acceptance.conftest import Program, Said

REAL = {"SPRITEMILL_RENDERER": "diffusion"}
QUICK = {"steps": 6}


def sprites(folder: Path) -> NDArray[np.int64]:
    pictures = sorted(folder.rglob("*.png"))
    return np.stack([np.asarray(Image.open(each).convert("RGBA")) for each in pictures]).astype(int)


def run(spritemill: Program, name: str, **request: object) -> NDArray[np.int64]:
    text = json.dumps({"sampling": QUICK, "name": name, **request})
    said = spritemill("run", spritemill.request(text), "--out", name, **REAL)
    assert said.code == 0, said
    return sprites(spritemill.folder / name)


def seam(sprites: NDArray[np.int64], axis: int) -> float:
    """The difference of opposite sides, over that at the sharpest line inside."""
    colour = np.moveaxis(sprites[..., :3], axis, 0)
    inner = np.abs(np.diff(colour, axis=0)).reshape(len(colour) - 1, -1).mean(axis=1)
    return float(np.abs(colour[0] - colour[-1]).mean() / inner.max())


def test_tiling_floors_and_walls_have_no_seam(spritemill: Program) -> None:
    made = {
        tile: run(
            spritemill, f"tiles-{tile}", samples=10, seed=5,
            contexts=[{"class": "floor"}, {"class": "wall"}],
            pixels={"alpha": "opaque", **({"tile": tile} if tile != "none" else {})},
        )
        for tile in ("none", "both")
    }  # fmt: skip
    rows, columns = 1, 2
    assert seam(made["none"], rows) > 1.3
    assert seam(made["none"], columns) > 1.3
    assert seam(made["both"], rows) < 1.15
    assert seam(made["both"], columns) < 1.15


def test_kept_half_of_a_picture_is_in_every_sprite(spritemill: Program) -> None:
    first = run(spritemill, "first", samples=1, contexts=[{"class": "potion"}])[0]
    Image.fromarray(first.astype(np.uint8)).save(spritemill.folder / "potion.png")
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[16:] = 255
    Image.fromarray(mask).save(spritemill.folder / "mask.png")
    changed = run(
        spritemill, "changed", samples=4,
        contexts=[{"class": "potion", "text": "red", "image": "potion.png", "mask": "mask.png"}],
    )  # fmt: skip
    assert len(changed) == 4
    assert all(np.array_equal(each[:16], first[:16]) for each in changed)
    assert len({each[16:].tobytes() for each in changed}) == 4


def test_animation_ends_with_the_sprites_of_the_request(spritemill: Program) -> None:
    request = spritemill.request(json.dumps(
        {"samples": 1, "contexts": [{"class": "potion"}, {"class": "book"}], "sampling": QUICK,
         "pixels": {"colours": 16}}
    ))  # fmt: skip
    out = "film.gif"
    said: Said = spritemill(
        "animate", request, "--out", out, "--frames", "0,3,6", "--scale", "1", "--json", **REAL
    )
    assert said.code == 0, said
    assert said.json["frames"] == [0, 3, 6]
    assert spritemill("run", request, "--out", "sprites", **REAL).code == 0
    (book,), (potion,) = (sprites(spritemill.folder / "sprites" / name) for name in (
        next(each.name for each in (spritemill.folder / "sprites").iterdir() if word in each.name)
        for word in ("book", "potion")
    ))  # fmt: skip
    with Image.open(BytesIO((spritemill.folder / out).read_bytes())) as film:
        assert getattr(film, "n_frames", 0) == 3
        film.seek(2)
        last = np.array(film.convert("RGBA"))
    last[last[..., 3] == 0] = 0  # a GIF's clear pixels have some colour
    assert np.array_equal(last[:, :32], potion)
    assert np.array_equal(last[:, 34:], book)
