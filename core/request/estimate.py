"""What a job will take, from its plan and a measured rate. Pure arithmetic."""

from dataclasses import dataclass

from core.request.plan import Plan

CONTAINER_BYTES = 2048
"""A sample's tar headers and padding (two members of 512-byte blocks) and its JSON record."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Sizes in bytes, times in seconds; `worker_seconds` is the work, `seconds` the wait for it.

    Of the `samples` of the dataset, `new` are drawn; the others are the parent's.
    """

    samples: int
    new: int
    contexts: int
    shards: int
    bytes: int
    flops: float
    worker_seconds: float
    seconds: float


def estimate(made: Plan, *, rate: float, png_bytes: float, workers: int = 1) -> Estimate:
    """Estimate a job at `rate` samples a second of each worker and PNGs of `png_bytes`.

    The last shards leave some workers idle, so the wait is counted in whole rounds of shards.
    """
    sampling = made.request.sampling
    steps = sampling.steps or 1
    if sampling.sampler == "heun":
        steps = 2 * steps - 1
    evaluations = steps * (1 if sampling.guidance == 1 else 2)
    busy = max(1, min(workers, made.shard_count))
    rounds = -(-made.shard_count // busy)
    return Estimate(
        samples=made.total,
        new=made.new,
        contexts=made.context_count,
        shards=made.shard_count,
        bytes=int(made.total * (png_bytes + CONTAINER_BYTES)),
        flops=float(made.new) * evaluations * made.spec.flops,
        worker_seconds=made.new / rate,
        seconds=min(made.new, rounds * made.shard_samples) / rate if busy > 1 else made.new / rate,
    )
