"""Judging a tile of sprites by the request's rules. The encoder is loaded only for those."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.request.plan import Sample
from core.request.quality import Quality
from core.sprites import quality
from core.weights.spec import ModelSpec

if TYPE_CHECKING:
    from core.evaluation.encoder import Encoder
    from core.evaluation.neighbours import Neighbours

_DIGITS = 4

Verdict = tuple[dict[str, float], str]
"""A sprite's scores, and the first rule that refuses it, empty when none does."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """A score of each sprite [N], NaN where there is none, and whether it keeps the rule."""

    rule: str
    score: str
    values: NDArray[np.float64]
    kept: NDArray[np.bool_]


class Judge:
    """Judges sprites by themselves: beside whatever, and in whatever tile, the same."""

    def __init__(self, rules: Quality, spec: ModelSpec) -> None:
        self._rules = rules
        self._classes = spec.classes

    def __call__(self, samples: Sequence[Sample], images: NDArray[np.uint8]) -> list[Verdict]:
        measures = [*self._by_pixels(images), *self._by_encoder(samples, images)]
        return [_verdict(measures, place) for place in range(len(images))]

    def _by_pixels(self, images: NDArray[np.uint8]) -> Iterator[_Measure]:
        rules = self._rules
        if rules.sound:
            piece = quality.wholeness(images)
            yield _Measure("sound", "largest_piece", piece, quality.sound(images, piece))
        if rules.cover is not None:
            least, most = rules.cover
            cover = quality.cover(images)
            yield _Measure("cover", "cover", cover, (cover >= least) & (cover <= most))
        if rules.colours is not None:
            colours = quality.colours(images)
            kept = colours <= rules.colours
            yield _Measure("colours", "colours", colours.astype(np.float64), kept)

    def _by_encoder(
        self, samples: Sequence[Sample], images: NDArray[np.uint8]
    ) -> Iterator[_Measure]:
        rules = self._rules
        if rules.agreement is not None:
            agreement = self._agreement(samples, images)
            kept = np.isnan(agreement) | (agreement >= rules.agreement)
            yield _Measure("agreement", "agreement", agreement, kept)
        if rules.novelty is not None:
            nearest, _ = _neighbours().nearest(images)
            novelty = np.asarray(nearest, dtype=np.float64).round(_DIGITS)
            yield _Measure("novelty", "novelty", novelty, novelty >= rules.novelty)

    def _agreement(
        self, samples: Sequence[Sample], images: NDArray[np.uint8]
    ) -> NDArray[np.float64]:
        """The probability [N] of the classes that were asked for; NaN where none was."""
        encoder = _encoder()
        known = {name: place for place, name in enumerate(encoder.classes)}
        found = np.full(len(images), np.nan)
        for place, (sample, odds) in enumerate(
            zip(samples, encoder(images).probabilities, strict=True)
        ):
            asked = [known[name] for name in self._asked(sample) if name in known]
            if asked:
                found[place] = round(float(odds[asked].astype(np.float64).sum()), _DIGITS)
        return found

    def _asked(self, sample: Sample) -> Iterator[str]:
        """The classes that the sample's context leans to: one, or those of its mixture."""
        for index, weight in sample.context.terms:
            if index < len(self._classes) and weight > 0:
                yield self._classes[index]


def _verdict(measures: Sequence[_Measure], place: int) -> Verdict:
    scores = {
        each.score: round(float(each.values[place]), _DIGITS)
        for each in measures
        if not np.isnan(each.values[place])
    }
    return scores, next((each.rule for each in measures if not each.kept[place]), "")


@functools.cache
def _encoder() -> "Encoder":
    from core.diffusion.device import pick_device
    from core.evaluation.encoder import bundled_encoder

    return bundled_encoder(pick_device())


@functools.cache
def _neighbours() -> "Neighbours":
    from core.evaluation.neighbours import bundled_neighbours

    return bundled_neighbours()
