"""The points where a test may do harm: described, passed, and armed by nobody else."""

import re
from pathlib import Path

from core.faults import Point

ROOT = Path(__file__).parents[2]
PROGRAM = [
    path.read_text()
    for folder in ("core", "orchestrator", "workers")
    for path in ROOT.glob(f"{folder}/**/*.py")
    if path.name != "faults.py"
]


def test_every_point_is_described_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", (ROOT / "docs/chaos.md").read_text(), re.M)
    assert rows == list(Point)


def test_every_point_is_passed_somewhere() -> None:
    passed = {name for text in PROGRAM for name in re.findall(r"reach\(Point\.(\w+)", text)}
    assert passed == set(Point.__members__)


def test_the_program_passes_points_and_arms_none() -> None:
    imports = {line for text in PROGRAM for line in re.findall(r".*import.*\bfaults\b.*", text)}
    imports |= {line for text in PROGRAM for line in re.findall(r"from core\.faults .*", text)}
    assert imports == {"from core.faults import Point, reach"}
