"""What could not be rendered, by which workers, and how much memory was too little."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("shards", sa.Column("trying", sa.Text()))
    op.add_column("shards", sa.Column("given_up", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("shards", sa.Column("memory", sa.BigInteger()))
    op.add_column(
        "workers", sa.Column("memory", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.create_table(
        "strikes",
        sa.Column(
            "job",
            sa.String(12),
            sa.ForeignKey("jobs.id", ondelete="CASCADE", name="strikes_job_fk"),
            nullable=False,
        ),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", "worker", name="strikes_pk"),
    )
