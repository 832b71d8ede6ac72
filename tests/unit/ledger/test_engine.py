import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import ProgrammingError

from core.errors import ConflictError, CorruptError, UnreachableError, UsageError
from core.ledger import connect, jobs
from core.ledger.schema import HEAD
from core.ledger.upgrade import upgrade


def test_missing_ledger_is_refused_without_creating_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with pytest.raises(ConflictError, match="spritemill db upgrade"):
        connect(f"sqlite:///{path}")
    assert not path.exists()


@pytest.mark.parametrize(
    "url", ["mysql://root:secret@db/x", "not a url", "postgresql+psycopg://u:p@ss:secret@db/x"]
)
def test_other_databases_are_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(UsageError, match=r"postgresql\+psycopg") as caught:
        connect(url)
    assert "secret" not in str(caught.value)


def test_closed_port_is_unreachable_and_hides_the_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(UnreachableError) as caught:
            connect(f"postgresql+psycopg://mill:secret@127.0.0.1:{port}/mill")
    assert "secret" not in str(caught.value)
    assert str(port) in str(caught.value)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("foo=bar", 'invalid connection option "foo"'),
        ("connect_timeout=abc", "bad value for connect_timeout: 'abc'"),
        ("port=abc", "non-integer port"),
        ("plugin=abc", "abc"),
    ],
)
def test_bad_option_is_wrong_usage_and_hides_the_password(option: str, told: str) -> None:
    with pytest.raises(UsageError, match="database_url postgresql") as caught:
        connect(f"postgresql+psycopg://mill:secret@127.0.0.1:1/mill?{option}")
    assert told in caught.value.message
    assert "Mend what stands after its `?`" in caught.value.remedy
    assert "secret" not in str(caught.value)


def test_bad_option_of_a_file_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"database_url sqlite.*'abc'"):
        connect(f"sqlite:///{tmp_path / 'ledger.db'}?timeout=abc", check_schema=False)


def test_wrong_statement_is_no_fault_of_the_address(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    upgrade(url)
    with closing(connect(url)) as ledger, pytest.raises(ProgrammingError), ledger.read() as opened:
        opened.exec_driver_sql("SELECT ?", ())


def test_file_that_is_a_folder_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="unable to open"):
        connect(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize("kept", [0, 4096])
def test_damaged_file_is_called_that(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "ledger.db"
    upgrade(f"sqlite:///{path}")
    path.write_bytes(path.read_bytes()[:kept] + b"damaged " * 4096)
    with pytest.raises(CorruptError, match="the ledger is damaged") as caught:
        jobs.list(connect(f"sqlite:///{path}"))
    assert "backup" in caught.value.remedy


def test_ledger_refuses_to_cross_a_fork(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    upgrade(url)
    program = (
        "import os, sys\n"
        "from core import ledger as ledgers\n"
        "from core.errors import ConflictError\n"
        "ledger = ledgers.connect(sys.argv[1])\n"
        "if os.fork():\n"
        "    status = os.waitstatus_to_exitcode(os.wait()[1])\n"
        "    sys.exit(status if ledger.version() else 1)\n"
        "try:\n"
        "    ledger.version()\n"
        "except ConflictError:\n"
        "    os._exit(7)\n"
        "os._exit(0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, url], check=False)
    assert ended.returncode == 7


def test_closed_ledger_opens_anew_when_it_is_used(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    upgrade(url)
    ledger = connect(url)
    ledger.close()
    assert ledger.version() == HEAD
    ledger.close()


def test_sqlite_is_durable_shared_and_checked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'ledger.db'}"
    upgrade(url)
    ledger = connect(url)
    with ledger.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    ledger.close()
    assert found == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 1,
        "busy_timeout": 30_000,
    }


def test_reading_the_ledger_imports_neither_the_orm_nor_alembic(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / 'ledger.db'}")
    program = (
        "import sys; from core import ledger; from core.ledger import jobs, shards, workers\n"
        f"jobs.list(ledger.connect('sqlite:///{tmp_path / 'ledger.db'}'))\n"
        "heavy = {'sqlalchemy.orm', 'alembic', 'psycopg', 'pydantic', 'celery'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
