"""Contexts: what is asked in words becomes a vector that the denoiser understands.

A context vector holds a weight for each class, then one for each word of the model's vocabulary.
A class is its one-hot; a mixture the weighted sum of one-hots, not normalised; a text the bag of
its words, each with weight 1/sqrt(number of words) so that long texts are as loud as short ones.
All zeros is no context.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from core.errors import Fault
from core.request import images
from core.request.names import nearest
from core.request.picture import Picture
from core.request.spec import Asked
from core.weights.spec import ModelSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Terms = tuple[tuple[int, float], ...]

FILLERS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with")
)

_WORD = re.compile(r"[a-z0-9]+")
_ENCODER = json.JSONEncoder(separators=(",", ":"))  # json.dumps would make one for each context


@dataclass(frozen=True, slots=True)
class Context:
    """One point in context space with its names. `terms` are (index, weight), ascending.

    `unworded` are those of the classes alone, where there are words beside them.
    """

    number: int
    terms: Terms
    unworded: Terms
    negative: Terms | None
    label: str
    class_name: str
    caption: str
    slug: str
    id: str
    start: Picture | None = None


def dense(terms: Terms, length: int) -> "NDArray[np.float32]":
    """The vector [length] of sparse terms."""
    import numpy as np  # checking a request needs no arithmetic

    vector = np.zeros(length, dtype=np.float32)
    for index, weight in terms:
        vector[index] = weight
    return vector


class Vocabulary:
    """The classes and words of a model, and what they mean as vectors."""

    def __init__(self, spec: ModelSpec) -> None:
        self.classes = {name: index for index, name in enumerate(spec.classes)}
        start = len(spec.classes)
        self.words = {word: start + index for index, word in enumerate(spec.words)}
        self.length = spec.context_length

    @cached_property
    def known(self) -> list[str]:
        return sorted({*self.words, *self.classes})

    def terms(self, asked: Asked) -> Terms:
        """The sparse vector of what is asked; KeyError-free only after `faults` found none."""
        if asked.vector is not None:
            return tuple((i, float(w)) for i, w in enumerate(asked.vector) if w != 0)
        weights: dict[int, float] = {}
        for name, weight in _classes(asked).items():
            weights[self.classes[name]] = weights.get(self.classes[name], 0.0) + weight
        words = tokens(asked.text or "")
        for word in words:
            index, weight = self._word(word, len(words))
            weights[index] = weights.get(index, 0.0) + weight
        return tuple(sorted(weights.items()))

    def unworded(self, terms: Terms) -> Terms:
        """The classes of these terms, without the words; nothing where there are not both."""
        classes = tuple(term for term in terms if term[0] < len(self.classes))
        return classes if len(classes) < len(terms) else ()

    def faults(self, asked: Asked, field: str) -> Iterator[Fault]:
        """What of this the model does not know."""
        if asked.vector is not None and len(asked.vector) != self.length:
            yield Fault(
                f"{field}.vector", f"{len(asked.vector)} numbers",
                f"this model's contexts have {self.length}",
                "Give one for each of its classes, then one for each of its words.",
            )  # fmt: skip
        part = "mixture" if asked.mixture else "class"
        for name in _classes(asked):
            if name not in self.classes:
                remedy = nearest(name, list(self.classes))
                yield Fault(f"{field}.{part}", name, "the model has no such class", remedy)
        words = tokens(asked.text or "")
        if asked.text is not None and not words:
            yield Fault(f"{field}.text", asked.text, "it names nothing to draw")
        for word in words:
            if word not in self.words and word not in self.classes:
                remedy = nearest(word, self.known)
                yield Fault(f"{field}.text", word, "the model does not know the word", remedy)

    def _word(self, word: str, count: int) -> tuple[int, float]:
        """A word's index and weight; a class named in a text is that class."""
        if word in self.words:
            return self.words[word], 1.0 / math.sqrt(count)
        return self.classes[word], 1.0


def tokens(text: str) -> list[str]:
    """The distinct words of a text that carry meaning, in order."""
    words = _WORD.findall(text.lower())
    return [word for word in dict.fromkeys(words) if word not in FILLERS]


def build(
    number: int,
    asked: Asked,
    negative: Asked | None,
    vocabulary: Vocabulary,
    start: Picture | None = None,
) -> Context:
    """The context of what is asked, steering away from `negative`, from the picture `start`."""
    label = label_of(asked)
    if negative is not None:
        label += f", not {label_of(negative)}"
    if start is not None:
        label += f", from picture {_hashed(_picture(start))[:6]}"
    terms = vocabulary.terms(asked)
    return Context(
        number=number,
        terms=terms,
        unworded=() if asked.vector is not None else vocabulary.unworded(terms),
        negative=vocabulary.terms(negative) if negative is not None else None,
        label=label,
        class_name=asked.class_name or "",
        caption=" ".join(filter(None, (asked.text, asked.class_name))) or label,
        slug=_slug(label),
        id=identity(asked, negative, start),
        start=start,
    )


def identity(asked: Asked, negative: Asked | None, start: Picture | None = None) -> str:
    """16 hex digits that name what was asked, however it was spelled."""
    meaning = [_meaning(asked), _meaning(negative) if negative else None]
    return _hashed([*meaning, _picture(start)] if start else meaning)[:16]


def _hashed(meaning: list[Any]) -> str:
    return hashlib.sha256(_ENCODER.encode(meaning).encode()).hexdigest()


def _picture(start: Picture) -> list[Any]:
    return [images.name(start.image), images.name(start.mask), start.share]


def _meaning(asked: Asked) -> list[Any]:
    return [sorted(_classes(asked).items()), tokens(asked.text or ""), asked.vector]


def _classes(asked: Asked) -> Mapping[str, float]:
    return asked.mixture or ({asked.class_name: 1.0} if asked.class_name else {})


def label_of(asked: Asked) -> str:
    """What is asked, for people."""
    if asked.vector is not None:
        return "vector " + identity(asked, None)[:6]
    parts: Iterable[str] = (
        name if weight == 1 else f"{weight:g} {name}" for name, weight in _classes(asked).items()
    )
    named = " + ".join(parts)
    text = f'"{asked.text}"' if asked.text else ""
    return " ".join(filter(None, (named, text))) or "unconditional"


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40].strip("-") or "context"
