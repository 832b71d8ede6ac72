"""The database's clock: the only one that leases are measured by."""

from typing import Any

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class now(FunctionElement[float]):  # noqa: N801  # it reads as the SQL function that it is
    """Seconds since 1970 when the statement began, as a float."""

    type = Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite(element: now, compiler: Any, **options: Any) -> str:  # noqa: ARG001  # its hook
    # unixepoch('subsec') gives NULL before SQLite 3.42
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _postgresql(element: now, compiler: Any, **options: Any) -> str:  # noqa: ARG001  # its hook
    # clock_timestamp() is volatile: no index could be searched by it
    return "CAST(extract(epoch FROM statement_timestamp()) AS double precision)"
