"""How a job is shown."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator.cli import units
from orchestrator.cli.console import columns, fields

if TYPE_CHECKING:
    from core.ledger.jobs import Job
    from orchestrator.progress import JobStatus

_ERRORS = {"paused": "paused by", "succeeded": "missing"}
_HEAD = ("job", "name", "state", "done", "sprites", "created")


def title(job: "Job") -> str:
    return f"job {job.id} ({job.name})"


def document(status: "JobStatus") -> dict[str, Any]:
    """A job with its progress, as one flat document; `workers` is the job's own limit."""
    found = asdict(status)
    found["workers_live"] = found.pop("workers")
    return {**found.pop("job"), **found}


def lines(status: "JobStatus") -> list[str]:
    job = status.job
    over = job.finished_at is not None
    rendering = "" if over else f", {status.leased:,} rendering"
    return fields(
        (
            ("job", f"{job.id} ({job.name})"),
            ("state", job.state),
            ("waits for", status.waits_for),
            ("sprites", f"{status.samples:,} of {job.total_samples:,}"),
            ("shards", f"{job.shards_done:,} of {job.shard_count:,}{rendering}"),
            ("rate", units.rate(status.rate) if status.rate else ""),
            ("left", "" if over else _left(status)),
            ("cost", _cost(status, over=over)),
            ("workers", "" if over else _workers(status)),
            ("priority", str(job.priority) if job.priority else ""),
            ("deadline", _then(units.moment(job.deadline), job) if job.deadline else ""),
            ("budget", _then(_budget(job), job) if job.gpu_seconds else ""),
            ("size", units.size(job.bytes_done) if job.bytes_done else ""),
            ("created", units.moment(job.created_at)),
            ("finished", units.moment(job.finished_at)),
            ("failures", _counts(job.failures)),
            ("refused", _refused(job)),
            ("unfilled", f"{job.samples_unfilled:,} sprites" if job.samples_unfilled else ""),
            (_ERRORS.get(job.state, "error"), job.error or ""),
            ("dataset", status.dataset),
            ("digest", job.dataset_digest or ""),
        )
    )


def _workers(status: "JobStatus") -> str:
    """Those of the whole mill, and the most of them that work at the job."""
    limit = status.job.workers
    return f"{status.workers:,}" + (f", at most {limit:,} at this job" if limit else "")


def _budget(job: "Job") -> str:
    return f"{job.gpu_seconds:,.12g} GPU-seconds"


def _then(limit: str, job: "Job") -> str:
    return f"{limit}, then {job.at_end}"


def _refused(job: "Job") -> str:
    """Drawings that quality control refused, by rule."""
    return f"{sum(job.refused.values()):,} drawings: {_counts(job.refused)}" if job.refused else ""


def _counts(found: Mapping[str, int]) -> str:
    """The most frequent first."""
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count:,}" for name, count in ranked)


def _left(status: "JobStatus") -> str:
    if status.eta is None:
        return ""
    low, high = map(units.duration, status.eta_range or (status.eta, status.eta))
    return units.duration(status.eta) + (f" ({low} to {high})" if low != high else "")


def _cost(status: "JobStatus", *, over: bool) -> str:
    """Of what is there, and, at the pace so far, of what is to come."""
    left = status.gpu_seconds_left
    to_come = "" if over or left is None else f", {left:,.0f} to come"
    spent = status.gpu_seconds_spent
    return f"{spent:,.0f} GPU-seconds{to_come}" if spent else ""


def table(jobs: "Iterable[Job]", *, owners: bool = False) -> list[str]:
    if not owners:
        return columns(_HEAD, map(_row, jobs), right="done sprites")
    rows = [(*_row(job), job.owner) for job in jobs]
    return columns((*_HEAD, "owner"), rows, right="done sprites")


def _row(job: "Job") -> tuple[str, ...]:
    share = f"{100 * job.samples_done // max(1, job.total_samples)}%"
    created = units.moment(job.created_at)
    return (job.id, job.name, job.state, share, f"{job.total_samples:,}", created)
