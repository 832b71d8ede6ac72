"""An evaluation as it is told: of what, beside what, and every measure, as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from core.evaluation.measures import Measures

FORMAT = "spritemill-evaluation/1"


@dataclass(frozen=True, slots=True)
class Subject:
    """What was evaluated. A dataset's sampling stands in its request."""

    kind: str
    name: str
    weights: str
    sampling: str
    samples: int


@dataclass(frozen=True, slots=True)
class Beside:
    """The real sprites: how many a model may learn from, are held out, are new to the encoder."""

    folder: str
    recipe: str
    held_out_share: float
    training: int
    held_out: int
    unseen: int


@dataclass(frozen=True, slots=True)
class Trial:
    """The same with another sampler or number of steps."""

    sampler: str
    steps: int
    measures: Measures


@dataclass(frozen=True, slots=True)
class Report:
    """All of it."""

    subject: Subject
    beside: Beside
    overall: Measures
    of_class: Mapping[str, Measures]
    trials: tuple[Trial, ...]

    def encode(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, allow_nan=False) + "\n"
