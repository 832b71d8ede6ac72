"""What quality control refused: counted by rule and by context."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ConfigDict, TypeAdapter, ValidationError

from core.errors import CorruptError

PREFIX = "refused_"
"""A score of this name and a rule's counts the drawings of the sample that the rule refused."""


@dataclass(frozen=True, slots=True)
class Unfilled:
    """A sample of which every drawing was refused, with how many by each rule; or that could not
    be rendered, for an `error`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")

    number: int
    key: str
    context: str
    refused: dict[str, int]
    error: str = ""

    @property
    def reason(self) -> str:
        if self.error:
            return f"it could not be rendered: {self.error}"
        return f"all {sum(self.refused.values())} drawings were refused: {told(self.refused)}"


@dataclass(slots=True)
class Refusals:
    """Refused drawings by rule, in all and by context; and samples that could not be filled."""

    by_rule: Counter[str] = field(default_factory=Counter)
    by_context: dict[str, Counter[str]] = field(default_factory=dict)
    unfilled: Counter[str] = field(default_factory=Counter)

    def add(self, context: str, refused: Mapping[str, int]) -> None:
        if refused:
            self.by_rule.update(refused)
            self.by_context.setdefault(context, Counter()).update(refused)

    def add_rows(self, table: pa.Table | pa.RecordBatch) -> None:
        """Count what rows of an index tell, by their columns `context` and `scores`."""
        rows = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
        rows = rows.filter(pc.match_substring(rows["scores"], f'"{PREFIX}'))
        columns = (rows[name].to_pylist() for name in ("context", "scores"))
        for context, scores in zip(*columns, strict=True):
            self.add(context, of(_SCORES.validate_json(scores)))

    def add_unfilled(self, context: str, refused: Mapping[str, int]) -> None:
        self.add(context, refused)
        self.unfilled[context] += 1

    @property
    def drawings(self) -> int:
        """How many drawings were refused."""
        return self.by_rule.total()


def of(scores: Mapping[str, float]) -> dict[str, int]:
    """How many drawings of a sample each rule refused, by what its scores tell."""
    return {
        name.removeprefix(PREFIX): int(value)
        for name, value in scores.items()
        if name.startswith(PREFIX)
    }


def total(rows: Mapping[str, int], others: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of counts by rule, the names in order."""
    summed = Counter(rows)
    for counts in others:
        summed.update(counts)
    return dict(sorted(summed.items()))


def as_scores(refused: Mapping[str, int]) -> dict[str, float]:
    return {PREFIX + rule: float(count) for rule, count in refused.items()}


def told(refused: Mapping[str, int]) -> str:
    """Rules with their counts, the most frequent first."""
    ranked = sorted(refused.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{rule} {count:,}" for rule, count in ranked)


def encode(unfilled: Iterable[Unfilled]) -> bytes:
    return _UNFILLED.dump_json(list(unfilled))


def decode(raw: bytes) -> list[Unfilled]:
    """The unfilled samples of a shard's part of the index. Raises CorruptError."""
    try:
        return _UNFILLED.validate_json(raw)
    except ValidationError as error:
        raise CorruptError("a part of the index does not tell its unfilled samples") from error


_SCORES: TypeAdapter[dict[str, float]] = TypeAdapter(dict[str, float])
_UNFILLED: TypeAdapter[list[Unfilled]] = TypeAdapter(list[Unfilled])
