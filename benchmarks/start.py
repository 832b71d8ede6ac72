"""How long the commands that touch no torch take, from the first instruction to the last.

Prints, for each, the median and the least of five runs on a new ledger, and the processor time
of the median. The target is 0.4 s.
"""

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = Path(sys.executable).parent / "spritemill"
REQUEST = "name: start\ncontexts:\n  - class: potion\nsamples: 4\n"
RUNS = 5


def main() -> None:
    print(f"machine  {platform.machine()}, Python {platform.python_version()}, SQLite ledger")
    with tempfile.TemporaryDirectory() as home:
        request = Path(home) / "request.yaml"
        request.write_text(REQUEST)
        _run(home, "db", "upgrade")
        for command in (
            ["--help"],
            ["config"],
            ["check", str(request)],
            ["submit", str(request), "--again"],
            ["submit", str(request)],
            ["status", "latest"],
            ["list"],
            ["events", "latest"],
            ["workers", "list"],
            ["models", "list"],
        ):
            taken = sorted(_run(home, *command) for _ in range(RUNS))
            wall = [seconds for seconds, _ in taken]
            shown = " ".join(part.replace(str(request), "REQUEST") for part in command)
            print(
                f"{shown:24} {statistics.median(wall):.2f} s, least {wall[0]:.2f} s, "
                f"processor {taken[RUNS // 2][1]:.2f} s"
            )


def _run(home: str, *command: str) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(
        [PROGRAM, *command],
        check=True,
        capture_output=True,
        env={**os.environ, "SPRITEMILL_HOME": home},
    )
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, sum(after[:2]) - sum(before[:2])


if __name__ == "__main__":
    main()
