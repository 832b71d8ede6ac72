"""Quality control while a shard is rendered: what is refused is drawn anew, with other noise.

Which drawing of a sample is kept depends on the shard alone, never on tiles or their timing: all
samples are drawn, then all that were refused, and so on. A drawing's scores are of its own pixels;
only whether it stands apart is asked in the order of the samples, of all that are kept by then.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from core.dataset import refusals
from core.dataset.refusals import Unfilled
from core.request.plan import Plan, Sample, noise_key
from core.request.quality import Quality
from core.sprites.crowd import Crowd
from workers.judge import Judge

Images = NDArray[np.uint8]
Draw = Callable[[Sequence[Sample]], Iterator[tuple[Sequence[Sample], Images]]]
"""Draws samples, tile by tile: their sprites [N, S, S, 4] as the dataset would hold them."""


@dataclass(slots=True)
class Chosen:
    """A sample with the drawing of it that is kept, if any is, and what was refused before it."""

    sample: Sample
    image: Images | None = None
    scores: dict[str, float] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def unfilled(self) -> Unfilled:
        sample = self.sample
        return Unfilled(sample.number, sample.key, sample.context.label, dict(self.refused))


def choose(plan: Plan, rules: Quality, samples: Sequence[Sample], draw: Draw) -> list[Chosen]:
    """Draw samples until each keeps the rules, at most `tries` times. In the order of `samples`."""
    judge = Judge(rules, plan.spec)
    crowd = Crowd(rules.apart, plan.spec.size, len(samples)) if rules.apart else None
    chosen = [Chosen(sample) for sample in samples]
    waiting = chosen
    for tried in range(1, rules.tries + 1):
        drawn = _drawn(judge, [each.sample for each in waiting], draw)
        for each, (image, scores, rule) in zip(waiting, drawn, strict=True):
            if not rule and crowd and not crowd.take(image):
                rule = "apart"
            if rule:
                each.refused[rule] += 1
                each.sample = _again(plan, each.sample, tried)
            else:
                each.image = image
                each.scores = scores | refusals.as_scores(each.refused)
        waiting = [each for each in waiting if each.image is None]
        if not waiting:
            break
    return chosen


def _drawn(
    judge: Judge, samples: Sequence[Sample], draw: Draw
) -> Iterator[tuple[Images, dict[str, float], str]]:
    """Each sample's drawing with its scores and the rule that refuses it, if one does.

    A thread judges each tile while the next is drawn.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="judge") as judging:
        tiles = [(images, judging.submit(judge, tile, images)) for tile, images in draw(samples)]
    for images, judged in tiles:
        for image, (scores, rule) in zip(images, judged.result(), strict=True):
            yield image, scores, rule


def _again(plan: Plan, sample: Sample, retry: int) -> Sample:
    """The same sample with the noise of its next drawing."""
    key = noise_key(plan.request.seed, sample.context.id, sample.index, retry)
    return replace(sample, noise_key=key)
