"""Filters on the index: `class in ("potion", "scroll") and not caption contains "red"`.

    any     = all { "or" all }
    all     = one { "and" one }
    one     = "not" one | "(" any ")" | column comparison
    comparison = ("=" | "==" | "!=" | "<" | "<=" | ">" | ">=") value
               | "contains" text | "in" "(" value { "," value } ")"

A column is one of the index, or `scores.NAME`; a value is a number or a text in quotes. Rows
without a score fail every comparison of it. Nothing is evaluated but this.
"""

import json
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.dataset.index import SCHEMA
from core.errors import Fault, RequestError
from core.request.names import nearest

Mask = NDArray[np.bool_]
Test = Callable[[pa.RecordBatch], Mask]
Value = str | float

SCORES = "scores."
_LONGEST = 2000
_DEEPEST = 50
_WORDS = ("and", "or", "not", "in", "contains")
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"""
    r"""|(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)|(?P<sign>==|!=|<=|>=|[=<>(),]))"""
)
Compare = Callable[[Any, Any], Any]
_COMPARE: dict[str, Compare] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_NUMBERS = {column.name for column in SCHEMA if pa.types.is_integer(column.type)}
_TEXTS = {column.name for column in SCHEMA if column.name not in _NUMBERS} - {"scores"}


@dataclass(slots=True)
class Where:
    """A filter. It remembers which scores it met, so that one that nobody has can be told."""

    text: str
    test: Test
    wanted: set[str] = field(default_factory=set)
    met: set[str] = field(default_factory=set)

    def mask(self, batch: pa.RecordBatch) -> Mask:
        """Which rows of the index are meant."""
        if not self.wanted <= self.met:
            for scores in batch["scores"].unique().to_pylist():
                self.met.update(json.loads(scores))
        return self.test(batch)

    def refuse_unknown_scores(self) -> None:
        """Raises RequestError for a score that no row has, when all rows have passed."""
        for name in sorted(self.wanted - self.met):
            known = [SCORES + each for each in sorted(self.met)]
            problem = "no sprite has such a score"
            remedy = nearest(SCORES + name, known) if known else ""
            raise RequestError([Fault("where", SCORES + name, problem, remedy)])


def parse(text: str) -> Where:
    """The filter of an expression. Raises RequestError that tells what is wrong with it."""
    return _Parser(text).run()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


class _Parser:
    """Recursive descent, a token of look-ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) > _LONGEST:
            self._refuse(f"it has more than {_LONGEST:,} characters")
        self._tokens = self._scan()
        self._place = 0
        self._depth = 0
        self._scores: set[str] = set()

    def run(self) -> Where:
        test = self._any()
        if self._next.kind != "end":
            self._refuse(f"{self._next.text!r} was not expected there")
        return Where(self._text, test, self._scores)

    def _scan(self) -> list[_Token]:
        found, place = [], 0
        end = len(self._text.rstrip())
        while place < end:
            token = _TOKEN.match(self._text, place)
            if token is None or not token.lastgroup:
                self._refuse(f"{self._text[place:].strip()[:20]!r} is not understood")
            kind, text = token.lastgroup, token[token.lastgroup]
            found.append(_Token("word" if text in _WORDS else kind, text))
            place = token.end()
        return [*found, _Token("end", "the end")]

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _take(self, *texts: str) -> str:
        """The next token if it is one of these, else nothing."""
        if self._next.kind in ("word", "sign") and self._next.text in texts:
            self._place += 1
            return self._tokens[self._place - 1].text
        return ""

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            self._refuse(f"{sign!r} is missing before {self._next.text!r}")

    def _any(self) -> Test:
        tests = [self._all()]
        while self._take("or"):
            tests.append(self._all())
        return lambda batch: np.logical_or.reduce([test(batch) for test in tests])

    def _all(self) -> Test:
        tests = [self._one()]
        while self._take("and"):
            tests.append(self._one())
        return lambda batch: np.logical_and.reduce([test(batch) for test in tests])

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._refuse("it is nested too deeply")
        if self._take("not"):
            inner = self._one()
            test: Test = lambda batch: ~inner(batch)  # noqa: E731  # named for its type alone
        elif self._take("("):
            test = self._any()
            self._need(")")
        else:
            test = self._comparison()
        self._depth -= 1
        return test

    def _comparison(self) -> Test:
        column = self._next
        if column.kind != "name":
            self._refuse(f"a column was expected, not {column.text!r}")
        self._place += 1
        numeric = self._numeric(column.text)
        read = _reader(column.text)
        if self._take("in"):
            self._need("(")
            values = [self._value(column.text, numeric)]
            while self._take(","):
                values.append(self._value(column.text, numeric))
            self._need(")")
            return lambda batch: np.isin(read(batch), values)
        if self._take("contains"):
            part = self._value(column.text, numeric)
            if not isinstance(part, str):
                self._refuse(f"{column.text} is a number, which contains nothing")
            return lambda batch: np.array([part in text for text in read(batch)], dtype=np.bool_)
        sign = self._take(*_COMPARE)
        if not sign:
            self._refuse(f"a comparison was expected after {column.text}, not {self._next.text!r}")
        value = self._value(column.text, numeric)
        compare, scored = _COMPARE[sign], column.text.startswith(SCORES)
        return lambda batch: _compared(compare, read(batch), value, scored)

    def _numeric(self, column: str) -> bool:
        if column.startswith(SCORES):
            self._scores.add(column.removeprefix(SCORES))
            return True
        if column not in _NUMBERS | _TEXTS:
            known = [*sorted(_NUMBERS | _TEXTS), SCORES]
            remedy = nearest(column, known) or f"Columns are {', '.join(known)}NAME."
            raise RequestError([Fault("where", column, "the index has no such column", remedy)])
        return column in _NUMBERS

    def _value(self, column: str, numeric: bool) -> Value:
        token = self._next
        if token.kind not in ("text", "number"):
            self._refuse(f"a text in quotes or a number was expected, not {token.text!r}")
        self._place += 1
        if (token.kind == "number") != numeric:
            kind = "a number" if numeric else "a text, in quotes"
            self._refuse(f"{column} is {kind}, which {token.text} is not")
        return float(token.text) if numeric else token.text[1:-1]

    def _refuse(self, problem: str) -> NoReturn:
        remedy = 'Such as: class = "potion" and index < 100.'
        raise RequestError([Fault("where", self._text[:200], problem, remedy)])


def _reader(column: str) -> Callable[[pa.RecordBatch], NDArray[np.generic]]:
    if not column.startswith(SCORES):
        return lambda batch: batch[column].to_numpy(zero_copy_only=False)
    name = column.removeprefix(SCORES)

    def scores(batch: pa.RecordBatch) -> NDArray[np.generic]:
        texts: Sequence[str] = batch["scores"].to_pylist()
        return np.array([json.loads(text).get(name, np.nan) for text in texts], dtype=np.float64)

    return scores


def _compared(compare: Compare, given: NDArray[np.generic], value: Value, scored: bool) -> Mask:
    found = np.asarray(compare(given, value), dtype=np.bool_)
    return found & ~np.isnan(given.astype(np.float64)) if scored else found
