"""Jobs in whose folders workers may have left something."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("leftovers", sa.BigInteger(), nullable=False, server_default="0")
    )
    some = sa.text("leftovers > 0")
    op.create_index(
        "jobs_by_leftovers", "jobs", ["leftovers"], postgresql_where=some, sqlite_where=some
    )
