"""What quality control refused in a job, and the drift that pauses it."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, update

from core.ledger.schema import jobs as _jobs


@dataclass(frozen=True, slots=True)
class Drift:
    """The share of drawings that may be refused, judged over so many shards together."""

    refused: float
    shards: int


@dataclass(frozen=True, slots=True)
class Refusals:
    """Of one shard: refused drawings by rule, and the samples that stayed without one."""

    by_rule: Mapping[str, int] = field(default_factory=dict)
    unfilled: int = 0
    drift: Drift | None = None


def count(connection: Connection, job: str, samples: int, found: Refusals) -> str:
    """Count a shard of so many samples, its job locked; why the job has drifted, if it has."""
    of_job = _jobs.c.id == job
    columns = (_jobs.c.refused, _jobs.c.recent_shards, _jobs.c.recent_drawn, _jobs.c.recent_refused)
    before = connection.execute(select(*columns).where(of_job)).one()
    refused = sum(found.by_rule.values())
    total = Counter(json.loads(before.refused))
    total.update(found.by_rule)
    shards, drawn = before.recent_shards + 1, before.recent_drawn + samples + refused
    refused += before.recent_refused
    why = _drifted(found.drift, shards, drawn, refused)
    if found.drift is None or shards >= found.drift.shards:
        shards = drawn = refused = 0
    connection.execute(
        update(_jobs)
        .where(of_job)
        .values(
            refused=json.dumps(total, sort_keys=True),
            samples_unfilled=_jobs.c.samples_unfilled + found.unfilled,
            recent_shards=shards,
            recent_drawn=drawn,
            recent_refused=refused,
        )
    )
    return why


def text(found: Refusals | None) -> str | None:
    """What a shard's row keeps of its refusals."""
    if found is None:
        return None
    kept = {"by_rule": dict(found.by_rule), "unfilled": found.unfilled}
    return json.dumps(kept, sort_keys=True)


def without(
    refused: Mapping[str, int], unfilled: int, kept: Iterable[str | None]
) -> dict[str, str | int]:
    """The counts of a job, its row locked, without those that rows of its shards keep."""
    total = Counter(refused)
    for found in (json.loads(each) for each in kept if each):
        total.subtract(found["by_rule"])
        unfilled -= found["unfilled"]
    return {"refused": json.dumps(+total, sort_keys=True), "samples_unfilled": unfilled}


def _drifted(drift: Drift | None, shards: int, drawn: int, refused: int) -> str:
    if drift is None or shards < drift.shards or refused <= drift.refused * drawn:
        return ""
    return (
        f"quality.drift: {refused:,} of {drawn:,} drawings ({refused / drawn:.0%}) in the last "
        f"{shards:,} shards were refused, more than {drift.refused:.0%}"
    )
