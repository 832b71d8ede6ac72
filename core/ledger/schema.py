"""The ledger's tables. Times are seconds since 1970 by the database's clock.

`hinted_at` is set only while a shard is pending, `lease_until` only while it is leased: so an index
on each finds the few shards under way among however many rows.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)

HEAD = "0008"
"""The newest migration: what this version of the code needs."""

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "uq": "%(table_name)s_%(column_0_name)s_key",
    }
)


def _text(name: str, **options: Any) -> Column[Any]:
    return Column(name, Text, nullable=False, **options)


def _count(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, default=0)


def _new_count(name: str) -> Column[Any]:
    """A count that came with a later version: rows that were there have none."""
    return Column(name, BigInteger, nullable=False, default=0, server_default="0")


def _seconds(name: str) -> Column[Any]:
    return Column(name, Double, nullable=False, default=0.0)


def _few(name: str, column: str, where: TextClause) -> Index:
    """An index of the rows where this is so, which costs the others nothing."""
    return Index(name, column, postgresql_where=where, sqlite_where=where)


def _of_job(name: str = "job", **options: Any) -> Column[Any]:
    owner = ForeignKey("jobs.id", ondelete="CASCADE")
    return Column(name, String(12), owner, nullable=False, **options)


jobs = Table(
    "jobs",
    metadata,
    Column("id", String(12), primary_key=True),
    _text("owner"),
    _text("name"),
    Column("state", String(12), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("workers", Integer),  # that it may have at once
    _text("model"),
    Column("weights", String(64), nullable=False),
    _text("request"),
    Column("request_digest", String(64), nullable=False),
    Column("dedupe", String(64)),  # the request's digest while this job answers for it
    Column("numerics", String(64)),
    _count("total_samples"),
    _count("shard_count"),
    _count("shard_samples"),
    _count("context_count"),
    _count("shards_planned"),
    _count("shards_leased"),
    _count("shards_done"),
    _count("samples_done"),
    _count("bytes_done"),
    _seconds("render_seconds"),
    _text("refused", default="{}", server_default="{}"),  # JSON: drawings by the rule
    _text("failures", default="{}", server_default="{}"),  # JSON: of its shards, by kind
    _new_count("samples_unfilled"),
    _new_count("recent_shards"),  # since drift was judged last
    _new_count("recent_drawn"),
    _new_count("recent_refused"),
    _new_count("leftovers"),  # leases that ended without a result, since its folder was swept
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("error", Text),
    Column("dataset_digest", String(64)),
    Column("deadline", Double),
    Column("gpu_seconds", Double),  # the budget
    Column("at_end", String(8), nullable=False, default="stop", server_default="stop"),
    UniqueConstraint("owner", "dedupe"),
    Index("jobs_by_state", "state"),
    Index("jobs_by_age", "created_at"),
    _few("jobs_by_leftovers", "leftovers", text("leftovers > 0")),
)

shards = Table(
    "shards",
    metadata,
    _of_job(primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _count("samples"),
    Column("state", String(12), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("worker", Text),
    Column("lease_until", Double),
    Column("hinted_at", Double),
    Column("not_before", Double),
    Column("failures", Integer, nullable=False, default=0),
    Column("trying", Text),  # key of the sample that is rendered alone just now
    _text("given_up", default="{}", server_default="{}"),  # JSON: the reason by sample key
    Column("memory", BigInteger),  # bytes of the worker that it was too much for
    _count("progress"),
    Column("error", Text),
    Column("seconds", Double),
    Column("key", Text),
    Column("sha256", String(64)),
    Column("size", BigInteger),
    Column("part_key", Text),
    Column("part_sha256", String(64)),
    Column("samples_digest", String(64)),
    Column("refusals", Text),  # JSON: refused drawings by rule, and samples that stayed without
    Index("shards_by_state", "job", "state", "number"),
    Index("shards_by_lease", "lease_until"),
    Index("shards_by_hint", "hinted_at"),
)

numerics = Table(
    "numerics",
    metadata,
    Column("id", String(64), primary_key=True),
    _text("facts"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    _text("host"),
    Column("pid", BigInteger, nullable=False),
    Column("started", Double, nullable=False),
    _text("device"),
    Column("numerics", String(64), ForeignKey("numerics.id"), nullable=False),
    Column("slots", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("order", String(12), nullable=False),
    Column("heartbeat_at", Double, nullable=False),
    Column("started_at", Double, nullable=False),
    _count("samples_done"),
    _seconds("render_seconds"),
    _count("failures"),
    _new_count("memory"),
    Index("workers_by_heartbeat", "heartbeat_at"),
)

strikes = Table(
    "strikes",
    metadata,
    _of_job(primary_key=True),
    Column("worker", Text, primary_key=True),
    Column("failures", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Double, nullable=False),
    _of_job(),
    _text("kind"),
    Column("shard", BigInteger),
    Column("worker", Text),
    _text("fields"),
    Index("events_by_job", "job", "id"),
)

leaders = Table(
    "leaders",
    metadata,
    Column("role", Text, primary_key=True),
    _text("holder"),
    Column("until", Double, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("sha256", String(64), primary_key=True),
    _text("name"),
    _text("spec"),
    _text("key"),
    Column("size", BigInteger, nullable=False),
    Column("added_at", Double, nullable=False),
    Index("models_by_name", "name", "added_at"),
)
