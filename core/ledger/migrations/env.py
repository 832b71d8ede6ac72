"""Runs the migrations within the one transaction that core.ledger.upgrade has begun."""

from alembic import context

from core.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
