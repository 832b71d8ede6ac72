"""The truth about jobs, shards and workers, in SQLite or PostgreSQL."""

from core.ledger.engine import Ledger, connect

__all__ = ["Ledger", "connect"]
