"""What verifying a dataset found."""

from dataclasses import dataclass, field

FETCH = "`spritemill repair` mends it; or fetch the file from the store again."
FINISH = "Wait until the job has succeeded, then fetch it again."
EDITED = "It was changed after it was made: `spritemill repair` it, or fetch it again."
_MOST = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: its kind, the file or sample, what was found, what to do."""

    kind: str
    where: str
    detail: str
    remedy: str = FETCH

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.detail} {self.remedy}"


@dataclass(frozen=True, slots=True)
class Report:
    """`digest` is the recomputed one, empty when a shard could not be read."""

    problems: tuple[Problem, ...]
    samples: int
    bytes: int
    digest: str

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(slots=True)
class Problems:
    """The first hundred problems, and the number of all."""

    first: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, kind: str, where: str, detail: str, remedy: str = FETCH) -> None:
        problem = Problem(kind, where, detail, remedy)
        if problem in self.first:
            return
        self.count += 1
        if self.count <= _MOST:
            self.first.append(problem)

    def all(self) -> tuple[Problem, ...]:
        more = self.count - _MOST
        if more <= 0:
            return tuple(self.first)
        last = Problem("more", "dataset", f"{more:,} problems more were found.", "")
        return (*self.first, last)
