"""The bundled model through the whole program: real sprites, the same however they are shared."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.acceptance.conftest import Program

REAL = {"SPRITEMILL_RENDERER": "diffusion"}
REQUEST = json.dumps(
    {
        "samples": 20,
        "contexts": [
            {"class": "potion"},
            {"class": "book", "text": "red", "negative": {"text": "blue"}, "samples": 14},
        ],
        "sampling": {"steps": 3},
        "outputs": {"shard_samples": 12},
    }
)


def test_bundled_model_draws_the_same_dataset_with_one_slot_and_with_two(
    spritemill: Program,
) -> None:
    request = spritemill.request(REQUEST)
    made = []
    for slots in ("1", "2"):
        home = f"home-of-{slots}"
        said = spritemill(
            "run", request, "--home", home, "--out", f"{home}-sprites", "--json",
            SPRITEMILL_SLOTS=slots, **REAL,
        )  # fmt: skip
        assert said.code == 0, said
        assert spritemill("verify", said.json["dataset"]).code == 0
        made.append(said.json["dataset_digest"])
    assert made[0] == made[1]
    pictures = sorted((spritemill.folder / "home-of-1-sprites").rglob("*.png"))
    assert len(pictures) == 34
    for picture in pictures:
        looks_like_a_sprite(picture)


def looks_like_a_sprite(picture: Path) -> None:
    pixels = np.asarray(Image.open(picture))
    assert pixels.shape == (32, 32, 4)
    alpha = pixels[..., 3]
    assert set(np.unique(alpha)) <= {0, 255}
    assert 0 < (alpha > 0).mean() < 1, "neither empty nor full"
    assert not pixels[alpha == 0].any(), "what is transparent has no colour"
