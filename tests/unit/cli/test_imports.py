"""What commands import: starting fast is kept by what is not loaded, not by a stopwatch."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from core.ledger import connect
from core.ledger.upgrade import upgrade
from tests.contracts.ledger_rows import Rows

HEAVY = ("torch", "numpy", "pydantic", "boto3", "pyarrow", "celery", "alembic", "structlog", "PIL")
PROGRAM = """
import json, sys
from orchestrator.cli import main
code = main(sys.argv[1:])
sys.stderr.write(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
sys.exit(code)
"""


def imported(tmp_path: Path, *arguments: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={
            "HOME": str(tmp_path),
            "SPRITEMILL_HOME": str(tmp_path / "home"),
            "SPRITEMILL_OWNER": "ann",
        },
        cwd=Path(__file__).parents[3],
    )
    return set(json.loads(ended.stderr.splitlines()[-1]))


@pytest.mark.parametrize("command", [(), ("run",), ("status",), ("workers", "start")])
def test_help_imports_nothing_heavy(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert imported(tmp_path, *command, "--help").isdisjoint({*HEAVY, "sqlalchemy", "yaml"})


@pytest.mark.parametrize("command", ["status", "list", "workers list", "events"])
def test_looking_imports_the_ledger_and_nothing_heavier(tmp_path: Path, command: str) -> None:
    (tmp_path / "home").mkdir()
    url = f"sqlite:///{tmp_path / 'home' / 'ledger.db'}"
    upgrade(url)
    with closing(connect(url)) as ledger:
        Rows(ledger).job(3)
    found = imported(tmp_path, *command.split())
    assert "sqlalchemy" in found
    assert found.isdisjoint({*HEAVY, "yaml"})


@pytest.mark.parametrize(
    "command", ["check examples/quickstart.yaml", "schema", "models list", "config"]
)
def test_no_torch_for_requests(tmp_path: Path, command: str) -> None:
    assert imported(tmp_path, *command.split()).isdisjoint({"torch", "celery", "boto3", "pyarrow"})
