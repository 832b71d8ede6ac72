"""Proving, mending, comparing and extending datasets with the real program, fake sprites."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from core.storage import connect
from tests.acceptance.conftest import Program
from tests.conftest import Bucket

SMALL = (
    "name: small\nsamples: 40\ncontexts:\n  - class: potion\n  - {class: weapon, text: sword}\n"
    "sampling: {steps: 1}\n"
)
OTHERWISE = {"SPRITEMILL_RENDERER": "diffusion"}
"""As on a machine of another numerics class than that of the fake renderer's sprites."""


@pytest.fixture
def dataset(spritemill: Program) -> Path:
    """A finished dataset of 80 sprites in three shards."""
    said = spritemill("run", spritemill.request(SMALL), "--json")
    assert said.code == 0, said
    return Path(said.json["dataset"])


def shards(dataset: Path) -> list[Path]:
    return sorted((dataset / "shards").iterdir())


def flip(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


def contents(dataset: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(dataset)): path.read_bytes()
        for path in dataset.rglob("*")
        if path.is_file()
    }


def test_sprites_rendered_again_are_the_stored_ones(spritemill: Program, dataset: Path) -> None:
    said = spritemill("verify", dataset, "--regenerate", "10%", "--json")
    assert said.code == 0, said
    assert said.json["regenerated"]["equal"] == 8
    assert "3 of 3 sprites" in spritemill("verify", "--regenerate", "3").out
    said = spritemill("verify", dataset, "--regenerate", "half")
    assert (said.code, "1%" in said.err) == (2, True)


def test_damaged_dataset_is_mended_in_place(spritemill: Program, dataset: Path) -> None:
    before = contents(dataset)
    flip(shards(dataset)[0], 600)
    shards(dataset)[1].unlink()
    (dataset / "manifest.json").write_text("{}")
    (dataset / "README.md").unlink()
    assert spritemill("verify", dataset).code == 1
    said = spritemill("repair", dataset, "--json")
    assert said.code == 0, said
    assert said.json["ok"]
    assert 32 <= said.json["rendered"] <= 33
    assert contents(dataset) == before
    assert spritemill("repair", "latest", "--json").json["mended"] == []


def test_sprites_that_another_machine_made_are_not_overwritten(
    spritemill: Program, dataset: Path
) -> None:
    copy = spritemill.folder / "copy"
    shutil.copytree(dataset, copy)
    shards(copy)[1].unlink()
    left = contents(copy)
    said = spritemill("repair", copy, **OTHERWISE)
    assert said.code == 1, said
    assert "device" in said.out + said.err
    assert contents(copy) == left


def test_sprites_of_another_machine_are_told_from_damaged_ones(
    spritemill: Program, dataset: Path
) -> None:
    said = spritemill("verify", dataset, "--regenerate", "2", "--json", **OTHERWISE)
    assert said.code == 0, said
    assert said.json["regenerated"]["equal"] == 0
    assert spritemill("regenerate", "7", **OTHERWISE).code == 1


def test_one_sprite_is_shown_and_rendered_again(spritemill: Program, dataset: Path) -> None:
    shown = spritemill("show", "latest/41", "--out", "one.png", "--json").json
    assert (shown["number"], shown["index"], shown["attempt"]) == (41, 1, 1)
    assert shown["worker"]
    assert size_of(spritemill.folder / "one.png") == (32, 32)
    by_key = spritemill("show", f"{dataset}/{shown['key']}", "--json").json
    assert by_key == shown
    again = spritemill("regenerate", "41", f"latest/{shown['key']}", "7", "--out", "again")
    assert again.code == 0, again
    assert again.out.count("the same") == 2
    copied = spritemill.folder / "again" / f"{shown['key']}.png"
    assert copied.read_bytes() == (spritemill.folder / "one.png").read_bytes()
    said = spritemill("show", "latest/80")
    assert (said.code, "DATASET/NUMBER" in said.err) == (2, True)


def test_datasets_are_compared_by_sample(spritemill: Program, dataset: Path) -> None:
    assert spritemill("diff", dataset, "latest").code == 0
    other = spritemill.request(SMALL.replace("name: small", "seed: 5"), "other.yaml")
    assert spritemill("run", other).code == 0
    said = spritemill("diff", dataset, "latest", "--json", "--out", "changed.png")
    assert said.code == 1
    assert said.json["contexts"]["potion"] == {"changed": 40}
    assert said.json["request"] == {"seed": [0, 5], "name": ["small", "sprites"]}
    assert size_of(spritemill.folder / "changed.png") > (64, 64)


def test_dataset_is_extended_and_every_old_byte_stays(spritemill: Program, dataset: Path) -> None:
    said = spritemill("extend", "latest", "--samples", "50", "--json")
    assert said.code == 0, said
    child = Path(said.json["dataset"])
    old = {path.name: path.read_bytes() for path in shards(dataset)}
    new = {path.name: path.read_bytes() for path in shards(child)}
    assert old.items() < new.items()
    proof = spritemill("verify", child, "--regenerate", "100%", "--json").json
    assert (proof["ok"], proof["samples"], proof["regenerated"]["equal"]) == (True, 100, 100)
    assert spritemill("diff", dataset, child, "--json").json["contexts"]["potion"] == {
        "same": 40, "added": 10,
    }  # fmt: skip
    again = spritemill("extend", dataset, "--samples", "50", "--json").json
    assert (again["id"], again["created"]) == (said.json["id"], False)
    further = spritemill("extend", child, "--samples", "60", "--json")
    assert further.code == 0, further
    assert spritemill("verify", further.json["dataset"], "--json").json["samples"] == 120


def test_dataset_of_another_mill_is_extended_by_a_request(
    spritemill: Program, dataset: Path
) -> None:
    more = spritemill.request("contexts:\n  - {class: scroll, samples: 9}\n", "more.yaml")
    home = {"SPRITEMILL_HOME": str(spritemill.folder / "elsewhere")}
    said = spritemill("extend", dataset, "--request", more, "--json", **home)
    assert said.code == 0, said
    assert spritemill("verify", "latest", **home).code == 0
    assert spritemill("diff", dataset, said.json["dataset"], "--json").json["contexts"] == {
        "potion": {"same": 40}, "scroll": {"added": 9}, 'weapon "sword"': {"same": 40},
    }  # fmt: skip


def test_request_names_its_parent(spritemill: Program, dataset: Path) -> None:
    digest = spritemill("verify", dataset, "-q").out.strip()
    for parent in (dataset.name, digest):
        text = f"parent: {parent}\nsamples: 42\ncontexts:\n  - class: potion\n"
        said = spritemill("run", spritemill.request(text), "--json")
        assert said.code == 0, said
        assert said.json["samples"] == 2
    said = spritemill("check", spritemill.request(text.replace(digest, "nowhere"), "bad.yaml"))
    assert (said.code, "parent = nowhere" in said.err) == (2, True)
    said = spritemill("check", spritemill.request(f"seed: 1\n{text}", "bad.yaml"))
    assert (said.code, "seed = 1" in said.err) == (2, True)


def test_dataset_in_a_bucket_is_proved_mended_and_extended(spritemill: Program, s3: Bucket) -> None:
    settings = {
        "SPRITEMILL_STORE_URL": s3.settings.store_url,
        "SPRITEMILL_S3_ENDPOINT": s3.settings.s3_endpoint,
    }
    kept = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    spritemill.environment.update(kept)
    endpoint = {"SPRITEMILL_S3_ENDPOINT": s3.settings.s3_endpoint}
    place = spritemill("run", spritemill.request(SMALL), "--json", **settings).json["dataset"]
    assert place.startswith("s3://")
    assert spritemill("verify", place, "--regenerate", "5", **endpoint).code == 0
    store = connect(s3.settings)
    damaged = [info.key for info in store.list("datasets/") if "shards/000001" in info.key]
    store.put(damaged[0], b"not a shard")
    assert spritemill("verify", place, **endpoint).code == 1
    said = spritemill("repair", place, "--json", **endpoint)
    assert (said.code, said.json["rendered"]) == (0, 32), said
    said = spritemill("extend", place, "--samples", "41", "--json", **settings)
    assert said.code == 0, said
    assert spritemill("verify", said.json["dataset"], **endpoint).code == 0
