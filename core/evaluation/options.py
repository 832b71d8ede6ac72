"""What is to be evaluated, against what: said by the command line to the process that does it."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["file", "weights", "folder", "job"]
RecipeName = Literal["auto", "plain", "dungeon"]


@dataclass(frozen=True, slots=True)
class Options:
    """`subject` is a weights file, the hash of registered weights, a dataset's folder, or a job.

    Of a model `samples` sprites are drawn, for each class as many; of a dataset that many are read
    at most. `steps` and `samplers` ask for a table of the model's quality with each of both.
    `classes` name those that arrays of real sprites only number.
    """

    kind: Kind
    subject: str
    name: str
    real: str
    out: str
    samples: int
    recipe: RecipeName
    held_out: float
    seed: int
    steps: tuple[int, ...] = ()
    samplers: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
