"""What quality control refused in each job."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("refused", sa.Text(), nullable=False, server_default="{}"))
    for name in ("samples_unfilled", "recent_shards", "recent_drawn", "recent_refused"):
        op.add_column("jobs", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
