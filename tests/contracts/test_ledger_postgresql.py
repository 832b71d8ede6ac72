"""What only a PostgreSQL server can refuse, or be told."""

import pytest
from sqlalchemy.exc import InternalError, ProgrammingError

from core.errors import UnreachableError
from core.ledger import Ledger, connect

pytestmark = pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)


def test_stopped_process_cannot_hold_a_transaction_open(ledger: Ledger) -> None:
    with ledger.read() as connection:
        for name, seconds in (
            ("idle_in_transaction_session_timeout", "30s"),
            ("statement_timeout", "1min"),
        ):
            assert connection.exec_driver_sql(f"SHOW {name}").scalar() == seconds


def test_wrong_password_is_told_without_showing_it(ledger_url: str) -> None:
    user, _, rest = ledger_url.partition("://")[2].partition(":")
    wrong = f"postgresql+psycopg://{user}:secret@{rest.partition('@')[2]}"
    with pytest.raises(UnreachableError, match="password authentication failed") as caught:
        connect(wrong)
    assert "secret" not in str(caught.value)


def test_missing_database_is_named(ledger_url: str) -> None:
    missing = ledger_url.rpartition("/")[0] + "/no_such_mill"
    with pytest.raises(UnreachableError, match="no_such_mill"):
        connect(missing)


def test_ledger_is_used_on_after_the_server_cut_its_connections(ledger: Ledger) -> None:
    version = ledger.version()
    with pytest.raises(UnreachableError) as caught:
        _ask_when_cut_off(ledger)
    assert caught.value.retryable
    assert ledger.version() == version


def test_server_that_may_only_be_read_since_a_failover_is_tried_again(ledger: Ledger) -> None:
    with pytest.raises(UnreachableError, match="read-only"):
        _write_where_only_reading_is_allowed(ledger)
    with ledger.write() as connection:
        connection.exec_driver_sql("DELETE FROM jobs")


def test_transaction_that_slept_for_too_long_is_tried_again(ledger: Ledger) -> None:
    with pytest.raises(UnreachableError, match="idle-in-transaction"):
        _write_after_sleep(ledger)
    with ledger.write() as connection:
        connection.exec_driver_sql("DELETE FROM jobs")


def test_statement_after_a_failed_one_is_our_fault_and_not_tried_again(ledger: Ledger) -> None:
    with pytest.raises(InternalError, match="aborted"):
        _go_on_after_a_failure(ledger)


def _write_where_only_reading_is_allowed(ledger: Ledger) -> None:
    with ledger.write() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql("DELETE FROM jobs")


def _go_on_after_a_failure(ledger: Ledger) -> None:
    with ledger.write() as connection:
        with pytest.raises(ProgrammingError):
            connection.exec_driver_sql("SELECT nonsense")
        connection.exec_driver_sql("SELECT 1")


def _write_after_sleep(ledger: Ledger) -> None:
    with ledger.write() as sleeper, ledger.read() as other:
        pid = sleeper.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        sleeper.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 1")
        there = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"
        while other.exec_driver_sql(there).scalar_one():
            pass
        sleeper.exec_driver_sql("DELETE FROM jobs")


def _ask_when_cut_off(ledger: Ledger) -> None:
    with ledger.read() as cut, ledger.read() as other:
        pid = cut.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
        cut.exec_driver_sql("SELECT 1")
