"""The failures of each job, by kind."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("failures", sa.Text(), nullable=False, server_default="{}"))
