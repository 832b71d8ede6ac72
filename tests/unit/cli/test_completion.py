"""What the shell offers, asked as the shell asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.ledger import workers
from core.ledger.workers import NewWorker
from core.settings import load
from orchestrator.service import Service

REQUEST = "contexts: [{class: potion, samples: 4}]"


def offered(line: str, home: Path, at: Path | None = None) -> list[str]:
    words = ["spritemill", "--home", str(home), *line.split(" ")]
    asked = {
        "_SPRITEMILL_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=at,
    )
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sub", ["submit"]),
        ("run --class wa", ["wall", "wand"]),
        ("animate --class pot", ["potion"]),
        ("models show dun", ["dungeon-32"]),
        ("status lat", ["latest"]),
    ],
)
def test_tab_offers_what_is_there(line: str, expected: list[str], tmp_path: Path) -> None:
    assert offered(line, tmp_path) == expected


def test_tab_offers_jobs_by_their_ids(tmp_path: Path) -> None:
    with Service(load({"home": str(tmp_path)})) as service:
        job = service.submit(REQUEST).job.id
    assert offered(f"cancel {job[:3]}", tmp_path) == [job]
    assert offered("verify ", tmp_path) == ["latest"], "it has no dataset"


def test_tab_offers_folders_that_are_datasets(tmp_path: Path) -> None:
    for name in ("potions", "made/pots", "made/photos"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("potions", "made/pots"):
        (tmp_path / name / "manifest.json").touch()
    assert offered("verify po", tmp_path / "home", tmp_path) == ["potions"]
    assert offered("verify made/", tmp_path / "home", tmp_path) == ["made/pots"]
    assert offered(f"verify {tmp_path}/p", tmp_path / "home") == [str(tmp_path / "potions")]


def test_tab_offers_workers_that_are_there(tmp_path: Path) -> None:
    with Service(load({"home": str(tmp_path)})) as service:
        service.upgrade()
        for name in ("w1", "w2"):
            workers.register(service.ledger, NewWorker(name, "host", 1, 0.0, "none", "cpu", {}, 1))
        workers.gone(service.ledger, "w2")
    assert offered("workers drain ", tmp_path) == ["w1"]
