"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _jobs()
    _shards()
    _numerics()
    _workers()
    _events()
    _leaders()
    _models()


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("weights", sa.String(length=64), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("dedupe", sa.String(length=64), nullable=True),
        sa.Column("numerics", sa.String(length=64), nullable=True),
        sa.Column("total_samples", sa.BigInteger(), nullable=False),
        sa.Column("shard_count", sa.BigInteger(), nullable=False),
        sa.Column("shard_samples", sa.BigInteger(), nullable=False),
        sa.Column("context_count", sa.BigInteger(), nullable=False),
        sa.Column("shards_planned", sa.BigInteger(), nullable=False),
        sa.Column("shards_leased", sa.BigInteger(), nullable=False),
        sa.Column("shards_done", sa.BigInteger(), nullable=False),
        sa.Column("samples_done", sa.BigInteger(), nullable=False),
        sa.Column("bytes_done", sa.BigInteger(), nullable=False),
        sa.Column("render_seconds", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("dataset_digest", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="jobs_pk"),
        sa.UniqueConstraint("owner", "dedupe", name="jobs_owner_key"),
    )
    op.create_index("jobs_by_age", "jobs", ["created_at"])
    op.create_index("jobs_by_state", "jobs", ["state"])


def _shards() -> None:
    op.create_table(
        "shards",
        sa.Column("job", sa.String(length=12), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("hinted_at", sa.Double(), nullable=True),
        sa.Column("not_before", sa.Double(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("progress", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("part_key", sa.Text(), nullable=True),
        sa.Column("part_sha256", sa.String(length=64), nullable=True),
        sa.Column("samples_digest", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name="shards_job_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", "number", name="shards_pk"),
    )
    op.create_index("shards_by_hint", "shards", ["hinted_at"])
    op.create_index("shards_by_lease", "shards", ["lease_until"])
    op.create_index("shards_by_state", "shards", ["job", "state", "number"])


def _numerics() -> None:
    op.create_table(
        "numerics",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="numerics_pk"),
    )


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("numerics", sa.String(length=64), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("order", sa.String(length=12), nullable=False),
        sa.Column("heartbeat_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("samples_done", sa.BigInteger(), nullable=False),
        sa.Column("render_seconds", sa.Double(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["numerics"], ["numerics.id"], name="workers_numerics_fk"),
        sa.PrimaryKeyConstraint("id", name="workers_pk"),
    )
    op.create_index("workers_by_heartbeat", "workers", ["heartbeat_at"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("job", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("shard", sa.BigInteger(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name="events_job_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="events_pk"),
    )
    op.create_index("events_by_job", "events", ["job", "id"])


def _leaders() -> None:
    op.create_table(
        "leaders",
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("role", name="leaders_pk"),
    )


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="models_pk"),
    )
    op.create_index("models_by_name", "models", ["name", "added_at"])
