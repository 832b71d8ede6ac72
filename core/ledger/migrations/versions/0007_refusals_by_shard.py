"""What quality control refused in each shard."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("shards", sa.Column("refusals", sa.Text()))
