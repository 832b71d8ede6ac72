"""The bundled model through the whole program: real sprites, the same however they are shared."""

import json
from pathlib import Path
from typing import Any

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


def test_kernels_are_compiled_where_they_can_be(spritemill: Program) -> None:
    request = spritemill.request('{"samples": 3, "contexts": [{"class": "potion"}]}')
    without = {"CXX": "no-such-compiler", **REAL}
    plain = spritemill("run", request, "--home", "plain", "--json", **without)
    assert plain.code == 0, plain
    assert "kernels" not in numerics(plain.json["dataset"])
    made = spritemill("run", request, "--json", **REAL)
    assert made.code == 0, made
    dataset = made.json["dataset"]
    assert numerics(dataset) == numerics(plain.json["dataset"]) | {"kernels": "fused 2"}
    again = spritemill("verify", dataset, "--regenerate", "3", "--json", **REAL)
    assert (again.code, again.json["regenerated"]["equal"]) == (0, 3)
    elsewhere = spritemill(
        "verify", dataset, "--regenerate", "3", SPRITEMILL_COMPILE="no", **REAL
    )  # fmt: skip
    assert (elsewhere.code, "kernels" in elsewhere.out) == (0, True)


def test_a_worker_whose_compiler_is_gone_draws_nothing_as_another_class(
    spritemill: Program, tmp_path: Path
) -> None:
    """Its parent has told the ledger which kernels it draws with, by trying them."""
    compiler, used = tmp_path / "once", tmp_path / "used"
    compiler.write_text(f'#!/bin/sh\ntest -e {used} && exit 1\ntouch {used}\nexec g++ "$@"\n')
    compiler.chmod(0o755)
    request = spritemill.request('{"samples": 3, "contexts": [{"class": "potion"}]}')
    said = spritemill("run", request, "--json", CXX=str(compiler), **REAL)
    assert said.code == 1, said
    assert "no kernels could be made" in said.out


def numerics(dataset: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(dataset) / "manifest.json").read_text())["numerics"]
    return found
