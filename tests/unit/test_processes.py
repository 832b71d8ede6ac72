"""Programs of ours start the same wherever they are started."""

import os
import subprocess
from pathlib import Path

from core import processes

ROOT = Path(processes.__file__).parents[1]


def test_program_is_ours_in_a_folder_with_modules_of_the_same_names(tmp_path: Path) -> None:
    for name in ("core", "workers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')")
    said = subprocess.run(
        processes.python("workers", "--help"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert "Run one worker." in said.stdout


def test_every_program_of_ours_is_started_so() -> None:
    sources = [
        path
        for name in ("core", "orchestrator", "workers")
        for path in ROOT.glob(f"{name}/**/*.py")
    ]
    starting = [path.name for path in sources if "sys.executable" in path.read_text("utf-8")]
    assert starting == ["processes.py"]
