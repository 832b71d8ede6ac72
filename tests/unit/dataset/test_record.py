import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.dataset.record import Record, decode, pixels_sha256
from core.errors import CorruptError

RECORD = Record(
    key="potion-0123456789ab-000001",
    number=1,
    context_id="0123456789abcdef",
    context_label='potion, "blau"',
    class_name="potion",
    caption="Trank ü",
    index=1,
    seed="00" * 16,
    sha256="ab" * 32,
    scores={"sharpness": 0.5},
)


def test_record_comes_back_from_its_json() -> None:
    assert decode(RECORD.encode()) == RECORD


def test_json_has_the_names_that_the_format_gives() -> None:
    values = json.loads(RECORD.encode())
    assert list(values) == [
        "key", "number", "context_id", "context", "class", "caption", "index", "seed", "sha256",
        "scores",
    ]  # fmt: skip
    assert values["context"] == RECORD.context_label


def test_folder_is_shared_by_the_samples_of_a_context() -> None:
    other = replace(RECORD, key="potion-0123456789ab-000002")
    assert RECORD.folder == other.folder == "potion-0123456789ab"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", "../../etc/passwd"),
        ("key", "a\n"),
        ("number", "1"),
        ("number", -1),
        ("sha256", "AB" * 32),
        ("seed", "00"),
        ("scores", {"sharpness": "high"}),
        ("surprise", 1),
    ],
)
def test_wrong_field_is_refused_by_name(field: str, value: Any) -> None:
    values = {**json.loads(RECORD.encode()), field: value}
    with pytest.raises(CorruptError, match=field):
        decode(json.dumps(values).encode())


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_other_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(CorruptError, match="not a sample's record"):
        decode(raw)


def test_pixel_hash_is_of_the_rgba_bytes_row_by_row() -> None:
    pixels = np.arange(4 * 4 * 4, dtype=np.uint8).reshape(4, 4, 4)
    assert pixels_sha256(pixels) == hashlib.sha256(bytes(range(64))).hexdigest()
    turned = np.rot90(pixels)
    assert pixels_sha256(turned) == hashlib.sha256(turned.tobytes()).hexdigest()
