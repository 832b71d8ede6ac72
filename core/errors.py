"""Every error that Spritemill raises on purpose, by what can be done about it."""

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_FAILED = 1
EXIT_BAD_REQUEST = 2
EXIT_UNREACHABLE = 3


class SpritemillError(Exception):
    """Base of all: a message for people, a remedy, an exit code, and whether trying again helps."""

    exit_code = EXIT_FAILED
    retryable = False

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request: where, what was given, why not, what would be right."""

    field: str
    value: str
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        given = f" = {self.value}" if self.value else ""
        return f"{self.field}{given}: {self.problem}. {self.remedy}".rstrip()


class RequestError(SpritemillError):
    """A request that cannot be made, with every fault that was found in it."""

    exit_code = EXIT_BAD_REQUEST

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class UsageError(SpritemillError):
    """A command or setting that cannot be carried out as given."""

    exit_code = EXIT_BAD_REQUEST


class NotFoundError(UsageError):
    """No job, worker, model, dataset or object by that name."""


class ConflictError(UsageError):
    """The thing is there, but in a state that does not allow what was asked."""


class JobFailedError(SpritemillError):
    """A job ended without a complete dataset."""


class UnreachableError(SpritemillError):
    """A broker, database or store that does not answer, or refuses our credentials."""

    exit_code = EXIT_UNREACHABLE
    retryable = True


class StoreError(SpritemillError):
    """The store answered, but did not do what was asked."""

    retryable = True


class CorruptError(SpritemillError):
    """Bytes that are not what their name, hash or format says."""


class ModelError(SpritemillError):
    """Weights that cannot be used: wrong hash, wrong format, not for this sampler."""

    exit_code = EXIT_BAD_REQUEST
