import csv
import json
import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from core.evaluation.comparison import Comparison
from core.evaluation.encoder import bundled_encoder
from core.evaluation.gallery import SHOWN, Row, every_pair, gallery, pair_table
from core.evaluation.neighbours import Neighbours, prints
from core.evaluation.page import page
from core.evaluation.report import FORMAT, Beside, Report, Subject, Trial
from tests.unit.evaluation.sprites import blocks, examples

CLASSES = ("book", "potion")
SAMPLES, ASKED = blocks(30, seed=1), ["book"] * 14 + ["potion"] * 16


@pytest.fixture(scope="module")
def evaluated() -> tuple[Report, list[Row]]:
    training = examples(blocks(40, seed=2), [0] * 20 + [1] * 20, CLASSES)
    held_out = examples(blocks(30, seed=3), [0] * 15 + [1] * 15, CLASSES)
    found = Comparison(bundled_encoder(), training, held_out, held_out)(SAMPLES, ASKED)
    report = Report(
        Subject("model", "<dungeon>", "ab" * 32, "ddim, 25 steps, guidance 3", 30),
        Beside("sprites", "plain", 0.02, 40, 30, 30),
        found.overall,
        found.of_class,
        (Trial("ddim", 8, found.overall),),
    )
    return report, list(gallery(SAMPLES, ASKED, training, found))


def test_page_needs_nothing_beside_itself(evaluated: tuple[Report, list[Row]]) -> None:
    text = page(*evaluated)
    assert "http" not in text
    assert "<script" not in text
    assert re.findall(r'src="(?!data:image/png;base64,)', text) == []
    assert text.count("<html") == text.count("</html>") == 1


def test_names_are_escaped(evaluated: tuple[Report, list[Row]]) -> None:
    text = page(*evaluated)
    assert "<dungeon>" not in text
    assert "Evaluation of &lt;dungeon&gt;" in text


def test_page_shows_the_sprites_themselves(evaluated: tuple[Report, list[Row]]) -> None:
    text = page(*evaluated)
    book = text[text.index("<h3>book") : text.index("<h3>potion")]
    first = b64decode(re.findall(r"base64,([^\"]+)", book)[0])
    head = int.from_bytes(first[16:20], "big"), int.from_bytes(first[20:24], "big")
    assert head == (SHOWN * 32 + (SHOWN - 1) * 2, 32)
    shown = np.asarray(Image.open(BytesIO(first)).convert("RGBA"))
    assert np.array_equal(shown[:, :32], SAMPLES[0])


def test_page_has_a_line_for_each_class_and_trial(evaluated: tuple[Report, list[Row]]) -> None:
    text = page(*evaluated)
    for cell in ("all", "book", "potion", "ddim"):
        assert f"<td>{cell}</td>" in text
    assert "Quality against steps" in text
    assert "Quality against steps" not in page(replace(evaluated[0], trials=()), evaluated[1])


def test_json_holds_every_measure(evaluated: tuple[Report, list[Row]]) -> None:
    told = json.loads(evaluated[0].encode())
    assert told["format"] == FORMAT
    assert set(told["of_class"]) == {"book", "potion"}
    assert told["overall"]["to_held_out"]["kernel"].keys() == {"value", "low", "high"}
    assert told["trials"][0]["measures"]["copies"] == told["overall"]["copies"]


def test_gallery_pairs_the_nearest_sample_with_its_neighbour(
    evaluated: tuple[Report, list[Row]],
) -> None:
    overall, *of_class = evaluated[1]
    assert [row.name for row in of_class] == ["book", "potion"]
    assert list(overall.distances) == sorted(overall.distances)
    assert len(overall.closest) == len(overall.neighbours) == SHOWN
    training = blocks(40, seed=2)
    closest = np.array(overall.closest, dtype=np.uint8)
    nearest = Neighbours(prints(training, 32), (), ()).nearest(closest)[1]
    assert np.array_equal(np.array(overall.neighbours), training[nearest])


def test_every_sample_is_beside_its_nearest_training_sprite() -> None:
    training = examples(blocks(40, seed=2), [0] * 20 + [1] * 20, CLASSES)
    samples = np.concatenate([blocks(50, seed=1), training.images[7:8]])
    asked, files = ["book"] * 51, [f"{number}.png" for number in range(40)]
    found = Comparison(bundled_encoder(), training, training, training)(samples, asked)
    picture = every_pair(samples, training, found)
    lines = list(csv.DictReader(pair_table(asked, training, files, found).splitlines()))
    assert sorted(int(line["sample"]) for line in lines) == list(range(51))
    assert lines[0] == {
        "sample": "50", "class": "book", "distance": "0.0000", "nearest": "7.png",
        "nearest_class": "book",
    }  # fmt: skip
    assert picture.shape == (2 * 34 - 2, 40 * 66 - 2, 4)
    for place, line in enumerate(lines):
        y, x = place // 40 * 34, place % 40 * 66
        pair = picture[y : y + 32, x : x + 64]
        near = int(line["nearest"].removesuffix(".png"))
        both = (samples[int(line["sample"])], training.images[near])
        for cell, sprite in zip((pair[:, :32], pair[:, 32:]), both, strict=True):
            solid = sprite[..., 3] == 255
            assert np.array_equal(cell[solid], sprite[solid])
    assert (picture[34:, 11 * 66 :] == picture[-1, -1]).all()
