"""Opening the ledger, and its transactions."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    String,
    column,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    table,
)
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    InterfaceError,
    InternalError,
    InvalidatePoolError,
    OperationalError,
    ProgrammingError,
)

from core.errors import ConflictError, CorruptError, UnreachableError, UsageError
from core.ledger.schema import HEAD
from core.settings import hide_password

_AWAY = "Check that it is running, that its disk has room, and user and password."
_UNWRITABLE = "Check that its disk has room, and that this user may write there."
_UPGRADE = "Run `spritemill db upgrade`."
_KINDS = "It must begin with postgresql+psycopg:// or sqlite:///."
_BUSY_SECONDS = 30
_FOR_A_WHILE = {"25006", "25P03", "25P04"}  # read-only since a failover; a transaction timed out
_FRESH_SECONDS = 0.03  # no server goes and comes back within that: PostgreSQL takes 0.08 s
_POSTGRESQL = {
    "connect_timeout": 5,
    "options": "-c idle_in_transaction_session_timeout=30s -c statement_timeout=60s",
    # a server that vanished is noticed within half a minute, not after the system's two hours
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "tcp_user_timeout": 30_000,
}


class Ledger:
    """A database and the kinds of transaction on it.

    It belongs to the process that opened it: connections must not be carried across a fork. Close
    it before one; it opens anew in the parent when it is next used.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(immediate=True)
        self.postgresql = engine.dialect.name == "postgresql"
        outright = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._reader = outright if self.postgresql else engine
        self._single = outright if self.postgresql else self._writer
        self._pid = os.getpid()
        self._name = hide_password(engine.url.render_as_string(hide_password=False))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Each statement sees what was committed before it. Raises UnreachableError when the
        database fails, CorruptError where a file of SQLite's is damaged.
        """
        with self._mapped(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def single(self) -> Iterator[Connection]:
        """`write` for what is one statement on PostgreSQL, which needs no round trips around it.

        Raises UnreachableError, as `write` does.
        """
        with self._mapped(), self._single.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, kept when the block ends well; keep it short.

        Whoever locks both locks the job's row before its shards' rows. Raises UnreachableError
        when the database fails: then nothing of it was kept, unless it failed while committing.
        """
        with self._mapped(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    def vacuum_into(self, path: str) -> None:
        """SQLite only: copy the database to an empty file. Raises UnreachableError."""
        outside = self.engine.execution_options(outside=True)
        with self._mapped(), outside.connect() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (path,))

    def version(self) -> str | None:
        """The newest migration that the database went through, if any."""
        with self.read() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            query = select(column("version_num", String)).select_from(table("alembic_version"))
            return connection.execute(query).scalar()

    def check_schema(self) -> None:
        """Raises ConflictError when the tables are not those that this version needs."""
        found = self.version()
        if found is None:
            raise ConflictError(
                f"database_url {self._name}: it has no ledger yet.", remedy=_UPGRADE
            )
        if found < HEAD:
            raise ConflictError(
                f"database_url {self._name}: its ledger is of an older version"
                f" ({found}, not {HEAD}).",
                remedy=_UPGRADE,
            )
        if found > HEAD:
            raise ConflictError(
                f"database_url {self._name}: its ledger is of a newer version"
                f" ({found}, not {HEAD}).",
                remedy="Install the newer Spritemill here too.",
            )

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        if os.getpid() != self._pid:
            raise ConflictError(
                f"This ledger was opened by process {self._pid}, not by {os.getpid()}.",
                remedy="Open another after a fork.",
            )
        try:
            yield
        except (OperationalError, InterfaceError, InternalError) as error:
            state = getattr(error.orig, "sqlstate", None)
            if isinstance(error, InternalError) and state not in _FOR_A_WHILE:
                raise  # what we did, or damage: trying again would not mend it
            raise UnreachableError(
                f"database_url {self._name}: {_first_line(error.orig)}.",
                remedy=_AWAY if self.postgresql else _UNWRITABLE,
            ) from error
        except ProgrammingError as error:
            if error.statement is not None:
                raise  # a fault of ours
            raise _misread(self._name, error.orig) from error
        except DatabaseError as error:
            if self.postgresql or type(error) is not DatabaseError:
                raise
            raise CorruptError(
                f"database_url {self._name}: the ledger is damaged: {_first_line(error.orig)}.",
                remedy="Put a backup in its place, as docs/operations.md tells.",
            ) from error


def connect(url: str, *, check_schema: bool = True) -> Ledger:
    """Open the ledger at a SQLAlchemy URL, `sqlite:///` or `postgresql+psycopg://`.

    Raises UnreachableError; UsageError for another kind of URL; and, where `check_schema`,
    ConflictError when the tables are missing or are of another version.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter's text may show what is taken for the port
        raise UsageError("database_url: this is no URL.", remedy=_KINDS) from None
    if check_schema and parsed.drivername == "sqlite" and not Path(parsed.database or "").exists():
        raise ConflictError(f"database_url {url}: there is no ledger yet.", remedy=_UPGRADE)
    ledger = Ledger(_engine(parsed))
    if check_schema:
        try:
            ledger.check_schema()
        except BaseException:
            ledger.close()
            raise
    return ledger


def _engine(url: URL) -> Engine:
    name = hide_password(url.render_as_string(hide_password=False))
    kinds = {"sqlite": _sqlite, "postgresql+psycopg": _postgresql}
    if url.drivername not in kinds:
        raise UsageError(f"database_url {name}: {url.drivername} is not supported.", remedy=_KINDS)
    try:
        return kinds[url.drivername](url)
    except (ArgumentError, ValueError) as error:
        raise _misread(name, error) from error


def _misread(name: str, error: BaseException | None) -> UsageError:
    return UsageError(
        f"database_url {name}: {_first_line(error)}.",
        remedy="Mend what stands after its `?`, or leave it out.",
    )


def _postgresql(url: URL) -> Engine:
    settings = {name: value for name, value in _POSTGRESQL.items() if name not in url.query}
    engine = create_engine(url, connect_args=settings, pool_size=2, max_overflow=8)
    event.listen(engine, "checkin", _used)

    def check(connection: Any, record: Any, _proxy: Any) -> None:
        """Ask a connection that was idle whether it still stands: one in use just now is not, nor
        a new one, which takes the place of one that fell. The pool replaces one only once.
        """
        used = record.info.get("used")
        if used is not None and time.monotonic() - used > _FRESH_SECONDS:
            _ping(engine, connection)

    event.listen(engine, "checkout", check)
    return engine


def _used(_connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _ping(engine: Engine, connection: Any) -> None:
    """Raises InvalidatePoolError, whereupon the pool opens its connections anew."""
    driver = engine.dialect.loaded_dbapi
    try:
        engine.dialect.do_ping(connection)
    except driver.Error as error:
        raise InvalidatePoolError from error


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin, not by the driver
    for setting in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}")


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("outside", False):
        return  # VACUUM must be in no transaction
    # a read transaction that turns to writing fails at once, however long the busy timeout
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
