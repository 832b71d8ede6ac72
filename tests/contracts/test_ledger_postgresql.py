"""What only a PostgreSQL server can refuse, or be told."""

import pytest

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


def _ask_when_cut_off(ledger: Ledger) -> None:
    with ledger.read() as cut, ledger.read() as other:
        pid = cut.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
        cut.exec_driver_sql("SELECT 1")
