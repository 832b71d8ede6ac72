"""A copy of a SQLite ledger, taken while it is in use."""

from pathlib import Path

from core.errors import ConflictError, UsageError
from core.ledger.engine import Ledger
from core.storage.files import disk_errors, whole_file


def backup(ledger: Ledger, path: Path) -> None:
    """Write the ledger, as it is at one moment, to a new file.

    Raises UsageError where the ledger is not SQLite, ConflictError when the file is there,
    StoreError when it cannot be written, UnreachableError.
    """
    if ledger.engine.dialect.name != "sqlite":
        raise UsageError(
            "database_url: only SQLite ledgers are copied so.",
            remedy="pg_dump --format=custom --file FILE copies one on PostgreSQL.",
        )
    if path.exists():
        raise ConflictError(f"file = {path}: it is there already.", remedy="Name a new file.")
    with disk_errors(str(path)), whole_file(path) as part:
        ledger.vacuum_into(part.name)
