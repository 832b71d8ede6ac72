"""A shard that is somebody's to render: what the holder knows, hears and gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, bindparam

from core.ledger.refusals import Refusals
from core.ledger.schema import shards
from core.ledger.states import ShardState
from core.messages import RenderHint

_JOB: ColumnElement[Any] = bindparam("in_job")


@dataclass(frozen=True, slots=True)
class Claim:
    """A shard that is ours to render, until the lease runs out.

    `failures` so far; `given_up` are the keys of samples to leave out, each with its reason.
    """

    job: str
    shard: int
    attempt: int
    samples: int
    model: str
    weights: str
    failures: int = 0
    given_up: Mapping[str, str] = field(default_factory=dict)


class Orders(StrEnum):
    """What the holder of a lease is to do."""

    GO = "go"
    STOP = "stop"  # the job is paused
    CANCEL = "cancel"
    FENCED = "fenced"  # the shard is another's


@dataclass(frozen=True, slots=True)
class Result:
    """A rendered shard, in the store already. `seconds` of rendering, sizes in bytes.

    `refusals` where quality control was asked for.
    """

    key: str
    sha256: str
    size: int
    part_key: str
    part_sha256: str
    samples: int
    samples_digest: str
    seconds: float
    refusals: Refusals | None = None


def naming(held: Claim | RenderHint) -> dict[str, Any]:
    """The attempt, for the parameters of `attempt_named` in a statement that is built once."""
    return {"in_job": held.job, "of_number": held.shard, "at_attempt": held.attempt}


def attempt_named(state: ShardState, job: Any = _JOB) -> tuple[ColumnElement[bool], ...]:
    """`attempt_in`, by the parameters of `naming`."""
    return (
        shards.c.job == job,
        shards.c.number == bindparam("of_number"),
        shards.c.attempt == bindparam("at_attempt"),
        shards.c.state == state,
    )


def attempt_in(held: Claim | RenderHint, state: ShardState) -> tuple[ColumnElement[bool], ...]:
    """The shard, in this state and at this attempt: the fence that its holder stands behind."""
    return (
        shards.c.job == held.job,
        shards.c.number == held.shard,
        shards.c.attempt == held.attempt,
        shards.c.state == state,
    )
