import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from core.evaluation.encoder import load_encoder
from core.evaluation.neighbours import load_neighbours
from tests.unit.evaluation.sprites import blocks
from workers.commands.train_encoder import main

CATEGORIES = ("item/potion", "item/book", "dngn/floor")


def test_training_writes_an_encoder_and_prints_and_tells_how_often_it_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "category", "caption"])
        for number, image in enumerate(blocks(60)):
            Image.fromarray(image).save(tmp_path / f"{number}.png")
            table.writerow([f"{number}.png", CATEGORIES[number % 3], "red thing"])
    main(tmp_path, tmp_path, images=64, held_out=0.1, seed=0)
    encoder = load_encoder(tmp_path / "encoder-32.safetensors")
    neighbours = load_neighbours(tmp_path / "neighbours-32.safetensors")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert encoder.classes == ("book", "floor", "potion")
    assert [line["event"] for line in told] == ["step", "encoder", "neighbours"]
    assert (told[1]["trained_on"], told[1]["sprites"]) == (54, 6)
    assert len(neighbours.names) == told[2]["named"] == 54
    first = neighbours.names[0]
    assert neighbours.nearest(blocks(60)[int(first.removesuffix(".png"))][None])[0] == 0
