"""The columns that a sample has in tables, as Hugging Face's `datasets` describes them."""

from collections.abc import Sequence
from typing import Any

from core.dataset.export.format import Sample
from core.dataset.parts import scores_text

_TEXT = {"dtype": "string", "_type": "Value"}
_NUMBER = {"dtype": "int64", "_type": "Value"}
_REST = {
    "class": _TEXT, "caption": _TEXT, "context": _TEXT, "context_id": _TEXT, "key": _TEXT,
    "number": _NUMBER, "index": _NUMBER, "seed": _TEXT, "sha256": _TEXT, "scores": _TEXT,
}  # fmt: skip


def features(classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Each column's feature. `label` is -1 for a sample of no one class."""
    return {
        "image": {"_type": "Image"},
        "label": {"names": list(classes), "_type": "ClassLabel"},
        **_REST,
    }


def row(sample: Sample) -> dict[str, Any]:
    """All columns but the image."""
    record = sample.record
    return {
        "label": sample.label,
        "class": record.class_name,
        "caption": record.caption,
        "context": record.context_label,
        "context_id": record.context_id,
        "key": record.key,
        "number": record.number,
        "index": record.index,
        "seed": record.seed,
        "sha256": record.sha256,
        "scores": scores_text(record),
    }
