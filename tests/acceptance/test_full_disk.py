"""A disk that is full: nothing half-made, and a job waits and goes on when there is room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Program
from tests.acceptance.test_cli_journeys import under_way, until

REQUEST = "samples: 1200\ncontexts:\n  - class: potion\noutputs: {shard_samples: 32}\n"


@pytest.fixture
def small_disk(spritemill: Program) -> Iterator[Path]:
    """A file system of its own for the home, where we may mount one."""
    place = spritemill.home
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system")
    yield place
    spritemill.end()
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the space there is."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def test_full_disk_leaves_no_ledger_half_made(spritemill: Program, small_disk: Path) -> None:
    request = spritemill.request(REQUEST)
    filler = fill(small_disk)
    store = str(spritemill.folder)
    refused = spritemill("submit", request, SPRITEMILL_STORE_URL=store)
    assert refused.code == 1
    assert "disk full" in refused.err
    assert "Traceback" not in refused.err
    assert [path.name for path in small_disk.iterdir()] == ["filler"]
    filler.unlink()
    assert spritemill("submit", request).code == 0


def test_full_disk_in_mid_job_costs_time_only(spritemill: Program, small_disk: Path) -> None:
    request = spritemill.request(REQUEST)
    running = spritemill.start("run", request, SPRITEMILL_FAKE_RATE="40")
    under_way(spritemill, 64)
    filler = fill(small_disk)
    until(
        lambda: "waits for  space on the disk of" in spritemill("status").out,
        "the status names the disk",
    )
    before = spritemill("status", "--json").json["samples_done"]
    filler.unlink()
    under_way(spritemill, before + 64)
    out, err = running.communicate(timeout=240)
    assert running.returncode == 0, out + err
    assert "1,200 sprites" in out
    assert "Traceback" not in out + err
    assert spritemill("verify", "latest").code == 0
