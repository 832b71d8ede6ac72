"""Two datasets side by side: which samples differ, and what was asked and used otherwise.

Samples are told apart by their index rows: `verify` proves that these are right.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core.dataset import index
from core.dataset.layout import REQUEST
from core.dataset.manifest import Manifest
from core.dataset.source import Source, read_manifest
from core.request.load import parse
from core.request.spec import Request

KINDS = ("same", "changed", "added", "removed")
_COLUMNS = ("key", "context", "sha256")
_PROVENANCE = (
    "dataset_digest", "request_digest", "weights", "renderer_version", "version", "samples",
    "contexts",
)  # fmt: skip

Fields = dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Diff:
    """`contexts` has the number of samples of each kind; `keys` those of all but the same ones.

    `request` and `provenance` have the fields that differ, in the first and in the second.
    """

    equal: bool
    contexts: dict[str, dict[str, int]]
    keys: dict[str, list[str]]
    request: Fields
    provenance: Fields

    def count(self, kind: str) -> int:
        return sum(counts.get(kind, 0) for counts in self.contexts.values())


def diff(first: Source, second: Source) -> Diff:
    """Equal are datasets of one digest. Raises NotFoundError, CorruptError."""
    manifests = read_manifest(first), read_manifest(second)
    joined = _joined(first, second)
    return Diff(
        equal=manifests[0].dataset_digest == manifests[1].dataset_digest,
        contexts=_counts(joined),
        keys={
            kind: sorted(joined.filter(pc.equal(joined["kind"], kind))["key"].to_pylist())
            for kind in KINDS[1:]
        },
        request=_fields(_asked(_request(first)), _asked(_request(second))),
        provenance=_fields(*(_provenance(each) for each in manifests)),
    )


def _joined(first: Source, second: Source) -> pa.Table:
    """A row for each key of either: its context, and the kind of its difference."""
    left, right = (index.columns(source, _COLUMNS) for source in (first, second))
    joined = left.join(right, "key", join_type="full outer", right_suffix="_other")
    here, there = joined["sha256"].is_valid(), joined["sha256_other"].is_valid()
    same = pc.fill_null(pc.equal(joined["sha256"], joined["sha256_other"]), False)
    kind = pc.case_when(
        pc.make_struct(same, pc.and_(here, there), there), "same", "changed", "added", "removed"
    )
    context = pc.coalesce(joined["context"], joined["context_other"])
    return pa.table({"key": joined["key"], "context": context, "kind": kind})


def _counts(joined: pa.Table) -> dict[str, dict[str, int]]:
    counted = joined.group_by(["context", "kind"]).aggregate([([], "count_all")])
    found: dict[str, dict[str, int]] = {}
    for row in counted.sort_by("context").to_pylist():
        found.setdefault(row["context"], {})[row["kind"]] = row["count_all"]
    return found


def _request(source: Source) -> Request:
    with source.open(REQUEST) as opened:
        return parse(opened.read().decode())


def _asked(request: Request) -> dict[str, Any]:
    """A request's values by their paths; a context by what it asks for."""
    values = request.model_dump(mode="json", by_alias=True, exclude_none=True)
    samples: Counter[str] = Counter()
    for context in values.pop("contexts"):
        asked = {name: value for name, value in context.items() if name not in ("samples", "first")}
        label = f"samples of {json.dumps(asked, ensure_ascii=False)}"
        samples[label] += context.get("samples", values.get("samples"))
    values.pop("samples", None)
    return {**dict(_flat(values)), **samples}


def _provenance(manifest: Manifest) -> dict[str, Any]:
    values = {name: getattr(manifest, name) for name in _PROVENANCE}
    values["model"] = manifest.model.name
    values["licence"] = manifest.model.licence
    return {**values, **dict(_flat({"numerics": manifest.numerics}))}


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _fields(first: Mapping[str, Any], second: Mapping[str, Any]) -> Fields:
    names = [*first, *(name for name in second if name not in first)]
    return {
        name: (first.get(name), second.get(name))
        for name in names
        if first.get(name) != second.get(name)
    }
