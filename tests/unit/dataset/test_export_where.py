"""The filter's little language: what it means, and that it is told what is wrong with it."""

import numpy as np
import pyarrow as pa
import pytest

from core.dataset.export.where import parse
from core.dataset.index import SCHEMA
from core.errors import RequestError

ROWS = [
    ("potion", "a red potion", 0, '{"agreement": 0.9}'),
    ("potion", "a blue potion", 1, '{"agreement": 0.2}'),
    ("weapon", "a red sword", 2, "{}"),
    ("", "half of each", 3, '{"agreement": 0.5, "cover": 0.3}'),
]


def batch() -> pa.RecordBatch:
    rows = [
        {
            "key": f"k-{number}", "number": number, "context_id": "0" * 16, "context": caption,
            "class": name, "caption": caption, "index": number, "seed": "0" * 32,
            "sha256": "0" * 64, "scores": scores, "shard": number // 2,
        }
        for name, caption, number, scores in ROWS
    ]  # fmt: skip
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('class = "potion"', [0, 1]),
        ("class == 'potion'", [0, 1]),
        ('class != "potion"', [2, 3]),
        ("index < 2", [0, 1]),
        ("number >= 2", [2, 3]),
        ("index <= 1.5", [0, 1]),
        ("shard > 0", [2, 3]),
        ('class in ("weapon", "")', [2, 3]),
        ("index in (0, 3)", [0, 3]),
        ('caption contains "red"', [0, 2]),
        ('not caption contains "red"', [1, 3]),
        ('class = "weapon" or class = "potion" and index = 1', [1, 2]),
        ('(class = "weapon" or class = "potion") and index < 1', [0]),
        ("not (index = 0 or index = 1)", [2, 3]),
        ("not not index = 0", [0]),
        ("scores.agreement >= 0.5", [0, 3]),
        ("scores.agreement != 0.5", [0, 1]),
        ("not scores.agreement > 0.5", [1, 2, 3]),
        ("scores.cover<1", [3]),
        ("index > -1", [0, 1, 2, 3]),
        ("number = 1e0", [1]),
    ],
)
def test_expression_keeps_the_rows_that_it_means(text: str, kept: list[int]) -> None:
    where = parse(text)
    assert np.flatnonzero(where.mask(batch())).tolist() == kept
    where.refuse_unknown_scores()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('clas = "potion"', "class"),
        ('caption = "a', "not understood"),
        ("index", "comparison"),
        ("index <", "number was expected"),
        ("index < 1 2", "'2' was not expected"),
        ("index < 1 and", "column was expected"),
        ("(index < 1", "')' is missing"),
        ('index = "one"', "index is a number"),
        ("class = 1", "class is a text"),
        ("index contains 1", "contains nothing"),
        ("index in ()", "expected"),
        ("__import__('os')", "no such column"),
        ("index < 1; index > 0", "not understood"),
        ("scores = 1", "no such column"),
        ("", "column was expected"),
        ("(" * 100 + "index < 1" + ")" * 100, "nested too deeply"),
        ("not " * 100 + "index < 1", "nested too deeply"),
        ("index < 1" + " or index < 1" * 1000, "more than 2,000 characters"),
    ],
)
def test_fault_is_told_with_what_would_be_right(text: str, told: str) -> None:
    with pytest.raises(RequestError) as raised:
        parse(text)
    assert told in str(raised.value)
    assert raised.value.faults[0].field == "where"


def test_score_that_no_sprite_has_is_refused_with_the_nearest() -> None:
    where = parse("scores.agrement > 0.5")
    assert not where.mask(batch()).any()
    with pytest.raises(RequestError, match=r"scores\.agreement"):
        where.refuse_unknown_scores()
