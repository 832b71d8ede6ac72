"""Where a dataset's files lie, in the store and inside the dataset."""

import re

from core.errors import UsageError

MANIFEST = "manifest.json"
PARTIAL = "partial.json"
REQUEST = "request.yaml"
INDEX = "index.parquet"
PREVIEW = "preview.png"
REPORT = "report.html"
CARD = "README.md"
_CONTENT_TYPES = {
    MANIFEST: "application/json",
    REQUEST: "application/yaml",
    INDEX: "application/vnd.apache.parquet",
    PREVIEW: "image/png",
    REPORT: "text/html; charset=utf-8",
    CARD: "text/markdown; charset=utf-8",
}

SHARD = re.compile(r"shards/[0-9]{6,12}-[0-9a-f]{16}\.tar")
"""The names that `shard_name` gives."""

_JOB = re.compile(r"[a-z0-9]{12}")


def content_type(name: str) -> str:
    """The media type of a file of a dataset."""
    return _CONTENT_TYPES.get(name, "application/x-tar")


def is_job(text: str) -> bool:
    """Whether this can be a job's id."""
    return _JOB.fullmatch(text) is not None


def dataset_prefix(job: str) -> str:
    return f"datasets/{_checked(job)}/"


def work_prefix(job: str) -> str:
    """Where parts of the index wait for the end of the job."""
    return f"work/{_checked(job)}/"


def shard_name(number: int, sha256: str) -> str:
    """A shard's name inside the dataset, from the hash of its tar file."""
    return f"shards/{number:06d}-{sha256[:16]}.tar"


def shard_key(job: str, number: int, sha256: str) -> str:
    return dataset_prefix(job) + shard_name(number, sha256)


def part_key(job: str, number: int, sha256: str) -> str:
    """The key of a shard's part of the index, from the hash of the part itself."""
    return f"{work_prefix(job)}{number:06d}-{sha256[:16]}.parquet"


def _checked(job: str) -> str:
    if not is_job(job):
        raise UsageError(f"job = {job!r} is no job's id:", remedy="12 of a-z and 0-9 are needed.")
    return job
