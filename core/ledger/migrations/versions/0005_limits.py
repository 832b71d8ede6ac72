"""The deadline and the budget of each job."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("deadline", sa.Double()))
    op.add_column("jobs", sa.Column("gpu_seconds", sa.Double()))
    op.add_column("jobs", sa.Column("at_end", sa.String(8), nullable=False, server_default="stop"))
