"""The states of jobs and shards, and the moves between them. Drawn in docs/states.md."""

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    FINALIZING = "finalizing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ShardState(StrEnum):
    PENDING = "pending"
    LEASED = "leased"
    DONE = "done"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


JOB_MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.PLANNED: frozenset(
        {JobState.RUNNING, JobState.PAUSED, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.RUNNING: frozenset(
        {JobState.PAUSED, JobState.FINALIZING, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.PAUSED: frozenset(
        {
            JobState.PLANNED,
            JobState.RUNNING,
            JobState.FINALIZING,
            JobState.FAILED,
            JobState.CANCELLED,
        }
    ),
    JobState.FINALIZING: frozenset({JobState.SUCCEEDED, JobState.FAILED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

SHARD_MOVES: Mapping[ShardState, frozenset[ShardState]] = {
    ShardState.PENDING: frozenset({ShardState.LEASED, ShardState.CANCELLED}),
    ShardState.LEASED: frozenset(
        {ShardState.PENDING, ShardState.DONE, ShardState.QUARANTINED, ShardState.CANCELLED}
    ),
    ShardState.DONE: frozenset(),
    ShardState.QUARANTINED: frozenset(),
    ShardState.CANCELLED: frozenset(),
}

TERMINAL = frozenset(state for state, moves in JOB_MOVES.items() if not moves)
RUNNABLE = frozenset({JobState.PLANNED, JobState.RUNNING})
"""Shards may be claimed in these."""


def origins(to: JobState) -> frozenset[JobState]:
    """The states from which a job may move there."""
    return frozenset(state for state, moves in JOB_MOVES.items() if to in moves)
